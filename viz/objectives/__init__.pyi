from .objectives import Objective as Objective
from .text import parse as parse
