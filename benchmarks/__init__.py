"""Measurements quoted in the README; each is run as `python -m benchmarks.NAME` and prints what it measured."""
