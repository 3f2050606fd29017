from .lazy import Derived as Derived
from .lazy import LazyArray as LazyArray
from .lazy import OneEnvironment as OneEnvironment
