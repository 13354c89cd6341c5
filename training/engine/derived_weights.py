"""The weight files of a derived model, one after the other. What was written whole is not written again."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from projects.domain.formatting import size as readable
from training.domain import derived
from training.domain.derived import FREE, INDEX, Kind
from training.domain.fingerprint import combine
from training.engine import disk
from training.engine.checkpoints import flush
from training.engine.events import EngineError, log
from training.engine.hashing import sha256_file
from training.engine.merging import Merged, made

FORMAT = 1
Tell = Callable[[int, int], None]


class Parts:
    """A folder that outlives an attempt: finished weight files, each with a note of what it is and its sha256."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder, self.identity = folder, identity
        folder.mkdir(parents=True, exist_ok=True)

    def note(self, number: int) -> Path:
        return self.folder / f"{number:05d}.json"

    def whole(self, number: int, name: str) -> dict[str, Any] | None:
        """What is noted of a finished file, if it is of this very model and its bytes are those that were written."""
        try:
            noted = json.loads(self.note(number).read_text())
            same = noted["identity"] == self.identity and noted["name"] == name
            if same and sha256_file(self.folder / name) == noted["sha256"]:
                return dict(noted)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def keep(self, number: int, name: str, aside: Path) -> dict[str, Any]:
        """The file first, then the note that makes it count."""
        flush(aside)
        noted = {"identity": self.identity, "name": name, "sha256": sha256_file(aside), "size": aside.stat().st_size}
        aside.replace(self.folder / name)
        place = self.note(number)
        half = place.with_suffix(f".{os.getpid()}")
        half.write_text(json.dumps(noted))
        flush(half)
        half.replace(place)
        flush(self.folder)
        return noted

    def sweep(self) -> None:
        """What a killed attempt left half written, and parts of another model."""
        notes = [(path, _noted(path)) for path in self.folder.glob("*.json")]
        ours = [(path, one) for path, one in notes if one.get("identity") == self.identity]
        kept = {path.name for path, _ in ours} | {str(one.get("name")) for _, one in ours}
        for path in self.folder.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)


def _noted(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def identity(*, base: str, adapter: str, kind: Kind, most: int) -> str:
    """What a weight file belongs to."""
    return combine({"base": base, "adapter": adapter, "kind": kind.value, "format": FORMAT, "shard": most})


def write(source: Merged, kind: Kind, parts: Parts, tell: Tell, *, most: int = derived.SHARD_BYTES) -> dict[str, Any]:
    """All weight files, in the folder of the parts; {file: {"sha256", "size"}}."""
    parts.sweep()
    plan = source.plan(kind, most)
    sizes = {name: derived.sizes(name, one, kind) for name, one in source.stored.items()}
    kept = [parts.whole(number, derived.shard_name(number, len(plan))) for number in range(len(plan))]
    done, total = 0, sum(sizes.values())
    check_room(parts.folder, total - sum(one["size"] for one in kept if one))
    found: dict[str, Any] = {}
    for number, names in enumerate(plan):
        name, noted = derived.shard_name(number, len(plan)), kept[number]
        if noted:
            log(f"{name} is there already")
        else:
            noted = parts.keep(number, name, _written(source, kind, names, parts.folder / f".{name}.{os.getpid()}"))
        done += sum(sizes[one] for one in names)
        tell(done, total)
        found[name] = {"sha256": noted["sha256"], "size": noted["size"]}
    return found


def _written(source: Merged, kind: Kind, names: list[str], aside: Path) -> Path:
    from safetensors.torch import save_file

    tensors = {key: value for name in names for key, value in made(source, name, kind)}
    try:
        save_file(tensors, aside, metadata={"format": "pt"})
    except Exception as problem:
        if disk.number(problem, aside.parent) is None:
            raise
        aside.unlink(missing_ok=True)
        raise EngineError(
            "The worker's disk took no more of the model. Free some space there and try again: files that are whole "
            "are kept.",
            code="disk_full",
            detail=str(problem),
        ) from problem
    aside.chmod(0o644)  # safetensors writes its files for the owner only
    return aside


def check_room(folder: Path, needed: int) -> None:
    """Refuse before anything is written, rather than fill the disk that runs need, too."""
    free = shutil.disk_usage(folder).free
    if needed + FREE > free:
        raise EngineError(
            f"The model takes {readable(needed)}, and of the worker's disk {readable(free)} are free; "
            f"{readable(FREE)} stay free for others. Free some space there and try again.",
            code="disk_full",
        )


def write_index(folder: Path, headers: dict[str, Any]) -> None:
    """Which tensor lies in which file; only where there are several."""
    if len(headers) < 2:
        return
    total = sum(
        entry["data_offsets"][1] - entry["data_offsets"][0] for one in headers.values() for entry in one.values()
    )
    placed = {name: file for file, one in sorted(headers.items()) for name in one}
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": placed}, indent=1, sort_keys=True)
    (folder / INDEX).write_text(text + "\n")
