"""Checkpoints that are whole or do not exist: written aside, hashed, flushed, renamed; read only when they verify."""

import json
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

from projects import faults
from training.engine.events import log
from training.engine.hashing import sha256_file

MANIFEST = "MANIFEST.json"
NAME = re.compile(r"^ckpt-(\d+)$")
KEEP = 2


class Checkpoints:
    """The checkpoints of one run, shared by its attempts. `digest` is that of the frozen spec."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder, self.digest = folder, digest
        self.staging = folder / f".staging-{uuid.uuid4().hex[:12]}"
        self.staging.mkdir(parents=True)

    def commit(self, source: Path, step: int) -> tuple[Path, str]:
        """Make a finished directory the checkpoint of `step`; returns where it is and the sha256 of its manifest."""
        faults.point("checkpoints.staged")
        files = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if path.is_file()}
        manifest = {
            "step": step,
            "spec": self.digest,
            "files": {name: {"sha256": sha256_file(path), "size": path.stat().st_size} for name, path in files.items()},
        }
        (source / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
        faults.point("checkpoints.hashed")
        for path in [*files.values(), source / MANIFEST, source]:
            flush(path)
        faults.point("checkpoints.flushed")
        place = self.folder / f"ckpt-{step}"
        if place.exists():  # a torn one, or the same step of a lost attempt
            shutil.rmtree(place)
        faults.point("checkpoints.before_rename")
        source.rename(place)
        faults.point("checkpoints.renamed")
        flush(self.folder)
        faults.point("checkpoints.before_forget")
        self._forget_old(step)
        faults.point("checkpoints.committed")
        return place, sha256_file(place / MANIFEST)

    def newest(self) -> tuple[Path, int] | None:
        """The newest checkpoint that is whole and of this very spec; torn and foreign ones are passed over."""
        for step, place in sorted(self._all(), reverse=True):
            problem = self.problem(place, step)
            if problem is None:
                return place, step
            log(f"checkpoint {place.name} is not used: {problem}")
        return None

    def problem(self, place: Path, step: int) -> str | None:
        """Why a checkpoint may not be used; None when it may."""
        try:
            manifest: dict[str, Any] = json.loads((place / MANIFEST).read_text())
            listed = manifest["files"].items()
            if manifest["step"] != step or manifest["spec"] != self.digest:
                return "it belongs to another step or another spec"
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return "its manifest is missing or damaged"
        for name, expected in listed:
            path = place / name
            if not path.is_file() or path.stat().st_size != expected["size"]:
                return f"{name} is missing or has another size"
            if sha256_file(path) != expected["sha256"]:
                return f"{name} has another checksum"
        return None

    def room_for_another(self) -> bool:
        """Is there space for two and a half times the last checkpoint? Asked before each save."""
        sizes = [sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) for _, place in self._all()]
        return shutil.disk_usage(self.folder).free >= 2.5 * max(sizes, default=0)

    def discard_staging(self) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what killed attempts left half-written, and make our own staging place anew."""
        faults.point("checkpoints.before_sweep")
        for left in self.folder.glob(".staging-*"):
            shutil.rmtree(left, ignore_errors=True)
        self.staging.mkdir(parents=True, exist_ok=True)

    def _all(self) -> list[tuple[int, Path]]:
        found = [(NAME.match(path.name), path) for path in self.folder.iterdir() if path.is_dir()]
        return [(int(match.group(1)), path) for match, path in found if match]

    def _forget_old(self, newest: int) -> None:
        """Keep two. The older ones go only now that the new one stands; steps beyond it are of a torn attempt."""
        older = sorted((step, place) for step, place in self._all() if step < newest)
        for _, place in older[: len(older) - (KEEP - 1)] if len(older) >= KEEP else []:
            shutil.rmtree(place)


def flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
