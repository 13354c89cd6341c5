"""The command `luthier`: a client of Luthier's API that needs nothing but Python."""

__version__ = "0.1.0"
