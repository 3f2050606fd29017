from .catalog import find as find
from .catalog import list_models as list_models
from .names import UnknownModel as UnknownModel
