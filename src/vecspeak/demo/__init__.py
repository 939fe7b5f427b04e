"""Demo: real movies, real viewers, what the reader says of their vectors, and what is true.

Everything else calls the library as a person would.
"""
