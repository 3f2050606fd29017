"""Bench: how fast agents play on this machine, what bounds it, and which settings are fastest."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
