from .counterfactuals import counterfactual as counterfactual
from .noise import Noise as Noise
from .plans import Plan as Plan
from .rollouts import rollout as rollout
