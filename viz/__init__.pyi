from . import filters as filters
from . import movies as movies
from . import patches as patches
from . import render as render
from .attribution.attribution import attribute as attribute
from .pages import tour as tour
