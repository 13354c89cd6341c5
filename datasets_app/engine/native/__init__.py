"""The compiled kernels: byte work at the speed of C, called through ctypes with the interpreter lock released.

`python tools/native.py` compiles `*.c` of this folder into one shared library with the C compiler of the machine. The
library's name carries a digest of the sources, so that a stale one is never loaded; a missing one is compiled at first
use. Kernels never allocate what a file asks for without a bound, and are tested under AddressSanitizer.
"""

import ctypes
from functools import cache
from pathlib import Path

from datasets_app.engine.native import compiling

FOLDER = Path(__file__).parent


@cache
def library() -> ctypes.CDLL:
    """The shared library; raises RuntimeError with the compiler's words when it cannot be made."""
    return ctypes.CDLL(str(compiling.ensure(FOLDER)))
