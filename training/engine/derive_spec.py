"""What the engine that makes a derived model is told: one JSON file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.domain.derived import SHARD_BYTES, Kind


@dataclass(frozen=True)
class DeriveSpec:
    """Paths are absolute. `parts` and `manifest` say which bytes are meant; `proof` is what is known of the adapter."""

    kind: str
    name: str
    base: str
    base_name: str
    fingerprint: str
    parts: dict[str, Any]
    adapter: str
    adapter_name: str
    adapter_digest: str
    manifest: dict[str, Any]
    revision: str
    proof: dict[str, Any]
    parts_dir: str
    out_dir: str
    store_dir: str = ""  # where the finished model will lie, if that is a disk of this host
    card: dict[str, Any] = field(default_factory=dict)
    shard_bytes: int = SHARD_BYTES
    device: str = "auto"

    @property
    def read_kind(self) -> Kind:
        return Kind(self.kind)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self), indent=2, sort_keys=True))

    @classmethod
    def read(cls, path: Path) -> "DeriveSpec":
        return cls(**json.loads(path.read_text()))
