from .agent_networks import AgentNetwork as AgentNetwork
from .agent_networks import AgentTrunk as AgentTrunk
from .foreign import Network as Network
from .impala import ImpalaNetwork as ImpalaNetwork
from .impala import ImpalaTrunk as ImpalaTrunk
from .networks import MnihNetwork as MnihNetwork
from .networks import Trunk as Trunk
