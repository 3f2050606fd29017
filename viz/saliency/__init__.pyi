from .movies import saliency_movie as saliency_movie
from .overlays import overlay as overlay
from .step_maps import Question as Question
