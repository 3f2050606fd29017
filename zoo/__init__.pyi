__version__: str
from .agent_states import as_it_was as as_it_was
from .catalog.catalog import UnknownModel as UnknownModel
from .catalog.catalog import list_models as list_models
from .games import UnknownGame as UnknownGame
from .games import game as game
from .layers import activations as activations
from .logs.formats import LogError as LogError
from .logs.logs import training_log as training_log
from .logs.run_checkpoints import checkpoints as checkpoints
from .models import load as load
from .play.counterfactuals import counterfactual as counterfactual
from .play.noise import Noise as Noise
from .play.plans import Plan as Plan
from .play.rollouts import rollout as rollout
from .recordings.files import open_recording as open_recording
from .recordings.recordings import Recording as Recording
from .wrapping import wrap as wrap
