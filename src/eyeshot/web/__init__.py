"""The review page: a local server and a static page for keeping, dropping and relabelling images by hand."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
