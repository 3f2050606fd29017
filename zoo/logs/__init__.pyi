from .formats import LogError as LogError
from .logs import training_log as training_log
from .run_checkpoints import checkpoints as checkpoints
