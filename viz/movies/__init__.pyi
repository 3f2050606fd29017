from .ablation import ablation_movie as ablation_movie
from .clips import Clip as Clip
from .game import game_movie as game_movie
from .grids import grid_movie as grid_movie
from .movies import activation_movie as activation_movie
