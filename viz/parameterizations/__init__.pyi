from .parameterizations import Parameterization as Parameterization
