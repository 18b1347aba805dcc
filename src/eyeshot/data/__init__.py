"""Finds, decodes and stores images; applies decisions, duplicate groups and splits, and builds the dataset."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
