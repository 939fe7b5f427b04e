"""Demo: real movies, real viewers, and what the reader says of their vectors, beside what is true.

Everything else calls the library as a person would.
"""
