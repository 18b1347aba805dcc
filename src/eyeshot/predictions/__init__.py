"""Stored probabilities of a run on a fixed set of images, and what they say against labels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
