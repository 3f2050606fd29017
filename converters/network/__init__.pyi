from .foreign import Network as Network
from .networks import MnihNetwork as MnihNetwork
from .networks import Trunk as Trunk
