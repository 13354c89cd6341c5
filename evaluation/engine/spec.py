"""What the engine is told: one JSON file, checked when it is read, and the rows that lie beside it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class EvaluationSpec:
    """Paths are absolute. `manifest` and `parts` say which bytes are meant: checked before loading.

    `revision` is what the adapter's config names: that of the base it was made on, whichever it is loaded on.
    """

    base: str
    parts: dict[str, Any]
    revision: str
    adapter: str
    manifest: dict[str, Any]
    questions: str
    items: str
    graders: list[str]
    primary: str
    max_new_tokens: int
    seed: int
    retention: str = ""
    batch_tokens: int | None = None
    device: str = "auto"
    # What is known of the adapter's weights and effect, and whether this base is the one it was made on.
    proof: dict[str, Any] = field(default_factory=dict)
    own_base: bool = True

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self), indent=2, sort_keys=True))

    @classmethod
    def read(cls, path: Path) -> "EvaluationSpec":
        return cls(**json.loads(path.read_text()))


def write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    """One JSON object a line; lone surrogates survive as escapes. Returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
            count += 1
    return count


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)
