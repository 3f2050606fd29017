from .movies import activation_movie as activation_movie
