"""The checkpoints of a run as a person sees them: which exist, what they weigh, and whether they are whole."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from projects.domain.states import JobState
from training.domain.spec import digest
from training.engine import manifest
from training.engine.manifest import Origin
from training.models import Run

# Up to this size every byte is read whenever a page asks; beyond it names and sizes, and the engine reads the rest.
READ_WHOLE = 32 * 1024 * 1024


@dataclass(frozen=True)
class Checkpoint:
    step: int
    at: datetime
    bytes: int
    sha256: str
    problem: str  # empty: it can be gone on from
    read_whole: bool

    @property
    def is_whole(self) -> bool:
        return not self.problem


def checkpoints(run: Run) -> list[Checkpoint]:
    """Those that the row knows of, the newest first. A run that succeeded needs none, so they are removed."""
    if run.state == JobState.SUCCEEDED:
        return []
    return [_seen(run, one) for one in sorted(run.checkpoints, key=lambda one: -one["step"])]


def whole_steps(run: Run) -> list[int]:
    """Where the run can go on, the newest first."""
    return [one.step for one in checkpoints(run) if one.is_whole]


def _seen(run: Run, one: dict[str, Any]) -> Checkpoint:
    folder = run.checkpoint_dir / f"ckpt-{one['step']}"
    read_whole = one["bytes"] <= READ_WHOLE
    problem = one.get("problem") or manifest.glance(folder, one["sha256"])
    if not problem and read_whole:
        frozen = run.spec
        origin = Origin(digest(frozen), frozen["base"]["fingerprint"], frozen["data"]["content_hash"])
        problem = _read(folder, one["step"], origin, one["sha256"], _changed_at(folder))
    at = datetime.fromisoformat(one["at"])
    return Checkpoint(one["step"], at, one["bytes"], one["sha256"], problem or "", read_whole)


def _changed_at(folder: Path) -> tuple[tuple[str, int], ...]:
    return tuple((name, path.stat().st_mtime_ns) for name, path in manifest.files_in(folder).items())


@lru_cache(maxsize=256)
def _read(folder: Path, step: int, origin: Origin, sha256: str, changed_at: tuple[tuple[str, int], ...]) -> str | None:
    """From all bytes, once for as long as no file is written: a page asks every two seconds."""
    return manifest.problem(folder, step, origin, sha256)
