from .recognise import recognise as recognise
