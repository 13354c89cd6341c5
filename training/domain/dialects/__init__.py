"""How a run is written in the words of other tools, and how their specs are read."""

from training.domain.dialects.base import About, Lost, Written
from training.domain.dialects.notes import Batch, Kind, Note, Reading
from training.domain.dialects.registry import DIALECTS, UnknownDialect, dialect, read, write
from training.domain.dialects.yaml_text import MOST_BYTES, BadYaml

__all__ = [
    "DIALECTS",
    "MOST_BYTES",
    "About",
    "BadYaml",
    "Batch",
    "Kind",
    "Lost",
    "Note",
    "Reading",
    "UnknownDialect",
    "Written",
    "dialect",
    "read",
    "write",
]
