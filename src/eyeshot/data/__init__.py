"""Images: find, decode and store them; decisions, duplicate groups, splits, and the dataset that follows from them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
