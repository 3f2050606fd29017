from .agent_networks import AgentNetwork as AgentNetwork
from .agent_networks import AgentTrunk as AgentTrunk
from .foreign import Network as Network
from .networks import MnihNetwork as MnihNetwork
from .networks import Trunk as Trunk
