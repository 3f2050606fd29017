from .untrained import UNTRAINED as UNTRAINED
from .untrained import initial_network as initial_network
