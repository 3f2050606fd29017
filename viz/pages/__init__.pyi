from . import tour as tour
from .atlas import atlas_layers as atlas_layers
