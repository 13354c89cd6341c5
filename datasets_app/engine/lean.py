"""Keeps out of an engine what its libraries would load without need.

Arrow imports pandas, where it is installed, to ask whether a list is one of its frames: a fifth of a second and forty
megabytes for every child that reads rows, and none of them has a frame.
"""

import sys
from importlib.machinery import ModuleSpec


class _Absent:
    """Answers for pandas as if it were not installed."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError("an engine works without pandas", name=name)
        return None


def without_pandas() -> None:
    """Called by the program of an engine, never on import: pandas stays what it is for everybody else."""
    if _Absent not in sys.meta_path:
        sys.meta_path.insert(0, _Absent)
