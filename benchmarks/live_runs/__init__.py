"""The runs of `benchmarks/live.py`, one a file."""
