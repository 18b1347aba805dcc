"""Copies of pictures: descriptors, the search for pairs that may be copies, their verification, and groups."""
