"""`vecspeak serve` as a process, and what it uses: for the benchmarks of the server."""
