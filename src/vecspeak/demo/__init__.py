"""Demo: real movies, real viewers, and what the reader says of their vectors, beside what is true.

Knows the installed packages that carry the data. Everything else calls the library as a person would.
"""
