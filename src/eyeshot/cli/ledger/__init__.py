"""Experiments: one file a command."""
