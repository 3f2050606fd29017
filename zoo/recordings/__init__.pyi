from .files import open_recording as open_recording
from .files import save_recording as save_recording
from .recordings import Recording as Recording
