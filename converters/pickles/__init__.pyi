from .safe_pickle import load_pickle as load_pickle
