"""Measurements quoted in docs/evidence.md; each runs as `python -m benchmarks.NAME` and prints its results."""
