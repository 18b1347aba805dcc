"""Measurements quoted in docs/evidence.md; each is run as `python -m benchmarks.NAME` and prints what it measured."""
