from .attribution import attribute as attribute
from .attribution import attribute_layer as attribute_layer
from .attribution import integrated_gradients as integrated_gradients
