"""Experiments that people and agents state: trained here, or logged."""
