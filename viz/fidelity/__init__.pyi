from .fidelity import deletion as deletion
from .fidelity import insertion as insertion
