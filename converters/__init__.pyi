from .cards import ModelCard as ModelCard
from .cards import Preprocessing as Preprocessing
from .convert import to_onnx as to_onnx
from .convert import to_torch as to_torch
from .errors import ConversionError as ConversionError
from .interchange import save_onnx as save_onnx
from .network.networks import MnihNetwork as MnihNetwork
from .verification import verify as verify
