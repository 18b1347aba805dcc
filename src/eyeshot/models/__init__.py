"""Models without their classifiers, their features on disk, and what is fitted to these: probes and neighbours."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
