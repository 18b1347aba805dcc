"""Contracts as tests: subclass one in your own test suite, and pytest runs it on what you wrote."""

from eyeshot.testing.augmentations import AugmentationContract

__all__ = ["AugmentationContract"]
