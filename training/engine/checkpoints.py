"""Checkpoints that are whole or do not exist: written aside, hashed, flushed, renamed; read only when they verify."""

import errno
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from projects import faults
from training.engine import manifest
from training.engine.events import EngineError, log
from training.engine.hashing import sha256_file
from training.engine.manifest import Origin

MANIFEST = manifest.NAME
NAME = re.compile(r"^ckpt-(0|[1-9]\d*)$")
FENCE = "FENCE"
KEEP = 2
# Free space asked for before a save, in checkpoints: the new one, and half as much again for whatever else grows.
ROOM = 2.5


class Found(NamedTuple):
    place: Path
    step: int


class Saved(NamedTuple):
    place: Path
    sha256: str


class Checkpoints:
    """The checkpoints of one run, shared by its attempts.

    `origin` (or only the digest of the frozen spec) is what they must stem from, `known` what the database says of
    them: the sha256 of the manifest by step. An attempt with a lower `fence` than another's commits nothing more.
    """

    def __init__(
        self, folder: Path, origin: Origin | str, *, fence: int = 0, known: Mapping[int, str] | None = None
    ) -> None:
        self.folder, self.fence, self.known = folder, fence, dict(known or {})
        self.origin = Origin(origin) if isinstance(origin, str) else origin
        self.refused: dict[int, str] = {}
        self.staging = folder / f".staging-{fence}-{uuid.uuid4().hex[:12]}"
        self.staging.mkdir(parents=True)

    # Writing

    def commit(self, source: Path, step: int) -> Saved:
        """Make a finished directory the checkpoint of `step`. Whatever fails, the ones before it stay as they are."""
        faults.point("checkpoints.staged")
        manifest.write(source, step, self.origin)
        faults.point("checkpoints.hashed")
        _flush_all(source)
        faults.point("checkpoints.flushed")
        place = self.folder / f"ckpt-{step}"
        self._check_fence()
        self._put_in_place(source, place)
        faults.point("checkpoints.renamed")
        flush(self.folder)
        self._check_written(place, step)
        self.known[step] = sha256_file(place / MANIFEST)
        faults.point("checkpoints.before_forget")
        self._forget_old(step)
        faults.point("checkpoints.committed")
        return Saved(place, self.known[step])

    def _put_in_place(self, source: Path, place: Path) -> None:
        """By rename. One of the same step, of a lost attempt, moves aside first and comes back if this fails."""
        aside = self.folder / f".aside-{place.name}"
        shutil.rmtree(aside, ignore_errors=True)
        if place.exists():
            place.rename(aside)
        faults.point("checkpoints.before_rename")
        try:
            source.rename(place)
        except OSError:
            if aside.exists():
                aside.rename(place)
            raise
        shutil.rmtree(aside, ignore_errors=True)

    def _check_written(self, place: Path, step: int) -> None:
        """Read it back before anything older goes: a disk may take bytes and not keep them."""
        if problem := manifest.problem(place, step, self.origin):
            shutil.rmtree(place, ignore_errors=True)
            raise OSError(errno.EIO, f"what was just written does not verify: {problem}")

    def _forget_old(self, newest: int) -> None:
        """Keep two whole ones. The older go only now that the new one stands; steps beyond it are of a torn attempt."""
        older = sorted((step, place) for step, place in self._all() if step < newest)
        whole = [place for step, place in older if step not in self.refused]
        kept = whole[-(KEEP - 1) :]
        for _, place in older:
            if place not in kept:
                shutil.rmtree(place, ignore_errors=True)

    def keep_beside(self, made: Path) -> None:
        """Put a finished file beside the checkpoints, for all attempts of the run."""
        flush(made)
        self._check_fence()
        made.rename(self.folder / made.name)
        flush(self.folder)

    def room_for_another(self, expected_bytes: int = 0) -> bool:
        """Is there space for two and a half times the last checkpoint? Asked before each save."""
        sizes = [size_of(place) for _, place in self._all()]
        return shutil.disk_usage(self.folder).free >= ROOM * max(sizes, default=expected_bytes)

    # Reading

    def newest(self) -> Found | None:
        """The newest checkpoint that is whole and of this very run; torn and foreign ones are passed over."""
        return next((found for found in self.candidates() if self._is_whole(found)), None)

    def begin(self, wanted: int | None) -> Found | None:
        """Where an attempt goes on: the newest whole one, or what a person chose (0 is the start).

        What lies beyond the choice is of a course that was given up, and goes.
        """
        if wanted is None:
            return self.newest()
        chosen = next((found for found in self.candidates() if found.step == wanted), None)
        if wanted and (chosen is None or not self._is_whole(chosen)):
            why = self.refused.get(wanted, "it is not there any more")
            raise EngineError(f"The checkpoint of step {wanted} cannot be used: {why}.", code="no_checkpoint")
        faults.point("checkpoints.before_restart")
        for found in self.candidates():
            if found.step > wanted:
                shutil.rmtree(found.place, ignore_errors=True)
        return chosen if wanted else None

    def candidates(self) -> list[Found]:
        """All that look like checkpoints, the newest first; nothing is checked."""
        return [Found(place, step) for step, place in sorted(self._all(), reverse=True)]

    def steps(self) -> list[int]:
        return sorted(step for step, _ in self._all())

    def problem(self, place: Path, step: int) -> str | None:
        """Why a checkpoint may not be used; None when it may."""
        return manifest.problem(place, step, self.origin, self.known.get(step, ""))

    def _is_whole(self, found: Found) -> bool:
        problem = self.problem(found.place, found.step)
        if problem is not None:
            self.refused[found.step] = problem
            log(f"checkpoint {found.place.name} is not used: {problem}")
        return problem is None

    def _all(self) -> list[tuple[int, Path]]:
        found = [(NAME.match(path.name), path) for path in self.folder.iterdir() if path.is_dir()]
        return [(int(match.group(1)), path) for match, path in found if match]

    # Attempts

    def take_over(self) -> None:
        """Be the attempt that may commit here. One that was given up for dead finds out at its next save."""
        if not self.fence:
            return
        self._check_fence()
        aside = self.staging / FENCE
        aside.write_text(str(self.fence))
        aside.rename(self.folder / FENCE)
        faults.point("checkpoints.taken_over")

    def _check_fence(self) -> None:
        try:
            newest = int((self.folder / FENCE).read_text())
        except (OSError, ValueError):
            return
        if newest > self.fence:
            raise EngineError("A newer attempt has taken over this run; nothing more is saved here.", code="superseded")

    def sweep(self) -> None:
        """Remove what killed attempts left half-written, and make our own staging place anew."""
        if self.fence:
            self._check_fence()  # one that was given up for dead must not sweep away what its successor is writing
        faults.point("checkpoints.before_sweep")
        for left in self.folder.glob(".aside-ckpt-*"):  # killed between two renames: the old one still counts
            place = self.folder / left.name.removeprefix(".aside-")
            if place.exists():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.rename(place)
        for left in self.folder.glob(".staging-*"):
            shutil.rmtree(left, ignore_errors=True)
        self.staging.mkdir(parents=True, exist_ok=True)

    def discard_staging(self) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)


def size_of(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def _flush_all(folder: Path) -> None:
    """Every file first, then the folders that name them, the innermost first."""
    inside = sorted(folder.rglob("*"), key=lambda path: len(path.parts), reverse=True)
    files, folders = [p for p in inside if not p.is_dir()], [p for p in inside if p.is_dir()]
    for path in [*files, *folders, folder]:
        flush(path)


def flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
