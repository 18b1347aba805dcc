"""Many trainings under a budget: trials that go from rung to rung, what is kept of each, and who computes them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
