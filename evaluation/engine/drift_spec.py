"""What the probing engine is told: an adapter, two versions of its base, and the prompts."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ProbeSpec:
    """Paths are absolute. `revision` is what the adapter's config names; `proof` what is known of its effect.

    `describe` names the bases, “own” or “other”, whose anatomies nobody has recorded yet.
    """

    own: str
    own_parts: dict[str, Any]
    other: str
    other_parts: dict[str, Any]
    adapter: str
    manifest: dict[str, Any]
    revision: str
    questions: str
    readings: str
    seed: int
    reloads: int
    proof: dict[str, Any] = field(default_factory=dict)
    identical: bool = False
    describe: list[str] = field(default_factory=list)
    device: str = "auto"

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self), indent=2, sort_keys=True))

    @classmethod
    def read(cls, path: Path) -> "ProbeSpec":
        return cls(**json.loads(path.read_text()))
