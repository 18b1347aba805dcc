"""The live pages: a local server for reviewing images by hand, and the workbench of the whole project."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
