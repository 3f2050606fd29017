from .safe_pickle import load as load
