"""What `benchmarks/kills.py` kills: commands in a tiny world, and how one is run and ended."""
