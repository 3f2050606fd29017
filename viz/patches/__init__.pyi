from .finding import Patch as Patch
from .finding import UnitPatches as UnitPatches
from .finding import patches as patches
from .moments import Selection as Selection
