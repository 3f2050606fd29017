from .measuring import throughput as throughput
from .results import Throughput as Throughput
from .results import open_throughput as open_throughput
