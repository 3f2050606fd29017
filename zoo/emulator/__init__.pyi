from .cartridges import Cartridge as Cartridge
from .environments import Environments as Environments
from .environments import Step as Step
from .screens import Screen as Screen
from .screens import screen as screen
