"""What all packages stand on: errors, files, configuration, caches, processes, progress, statistics, text."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
