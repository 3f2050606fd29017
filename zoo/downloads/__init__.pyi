from .cache import root as root
from .downloads import DownloadError as DownloadError
from .downloads import Offline as Offline
from .downloads import fetch_file as fetch_file
