"""Augmentations: a catalogue, and augmented samples made of images by drawing parameters and applying them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
