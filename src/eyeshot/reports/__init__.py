"""Pages: they share a style, and each is a single file that needs no network.

Names are loaded on first use, because the review page draws no figures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
