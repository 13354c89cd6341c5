"""What the engine that holds a derived model against its adapter is told: one JSON file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class EquivalenceSpec:
    """Paths are absolute. `files` and `hashes` say which bytes of the derived model are meant; `seen` what it said."""

    kind: str
    base: str
    parts: dict[str, Any]
    revision: str
    adapter: str
    manifest: dict[str, Any]
    derived: str
    files: dict[str, Any]
    hashes: dict[str, str]
    questions: str
    items: str
    graders: list[str]
    primary: str
    max_new_tokens: int
    margin: float
    seed: int
    proof: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, list[float]] = field(default_factory=dict)
    batch_tokens: int | None = None
    device: str = "auto"

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self), indent=2, sort_keys=True))

    @classmethod
    def read(cls, path: Path) -> "EquivalenceSpec":
        return cls(**json.loads(path.read_text()))
