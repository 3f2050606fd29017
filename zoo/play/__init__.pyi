from .counterfactuals import counterfactual as counterfactual
from .noise import Noise as Noise
from .rollouts import rollout as rollout
