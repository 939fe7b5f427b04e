"""The cases of benchmarks/speed.py: each part of vecspeak beside the plain way to do the same."""
