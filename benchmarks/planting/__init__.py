"""What `benchmarks/understand.py` plants in real spaces, and what is found of it."""
