"""Putting an adapter into a slot's folder: copied, verified byte by byte, then switched in one step.

<slot>/releases/<digest12>/   the adapter's files and RELEASE.json
<slot>/current                symlink to the live release
<slot>/switch.json            which deployment switched last; an older one may not switch any more
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from projects.faults import point

CHUNK = 1024 * 1024
RECORD = "RELEASE.json"


class Broken(Exception):
    """The release cannot be made; `code` and the text reach the person who asked for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Order:
    """`turn` orders switches of one slot: (deployment, fence). A later turn wins for good."""

    source: Path | None
    files: Mapping[str, Mapping[str, Any]]
    slot_dir: Path
    release: str
    turn: tuple[int, int]
    record: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        return self.slot_dir / "releases" / self.release


def sha256_of(path: Path) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def faults(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What differs between a folder and the list of files it should hold; empty when every byte is right."""
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {RECORD}
    missing = [f"{name} is missing" for name in sorted(files.keys() - found)]
    extra = [f"{name} does not belong here" for name in sorted(found - files.keys())]
    changed = [
        f"{name} has another SHA-256"
        for name in sorted(found & files.keys())
        if sha256_of(folder / name) != files[name]["sha256"]
    ]
    return missing + extra + changed


def ensure(order: Order, progress: Callable[[int, int], None]) -> bool:
    """Make the release folder hold exactly the listed bytes. True when they had to be copied."""
    if order.folder.is_dir() and not faults(order.folder, order.files):
        progress(len(order.files), len(order.files))
        return False
    if order.source is None or not order.source.is_dir():
        raise Broken("source_missing", "The adapter's files are gone, and no intact release is left to use.")
    staging = order.folder.with_name(f".{order.release}-{order.turn[0]}-{order.turn[1]}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        _fill(staging, order, progress)
        point("release.filled")
        _put_in_place(staging, order)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return True


def _fill(staging: Path, order: Order, progress: Callable[[int, int], None]) -> None:
    assert order.source is not None
    for done, name in enumerate(sorted(order.files), start=1):
        target = _inside(staging, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(_inside(order.source, name), target)
        except FileNotFoundError as gone:
            raise Broken("file_missing", f"{name} is missing from the adapter's files.") from gone
        _flush(target)
        progress(done, len(order.files))
    if wrong := faults(staging, order.files):
        raise Broken("hash_mismatch", f"The copied files are not what was approved: {'; '.join(wrong)}.")
    (staging / RECORD).write_text(json.dumps(order.record, indent=2, sort_keys=True) + "\n")
    _flush(staging / RECORD)
    _flush(staging)


def _put_in_place(staging: Path, order: Order) -> None:
    if order.folder.exists():  # a damaged release of the same digest makes room
        damaged = order.folder.with_name(f".damaged-{order.release}-{order.turn[0]}-{order.turn[1]}")
        os.rename(order.folder, damaged)
        os.rename(staging, order.folder)
        shutil.rmtree(damaged, ignore_errors=True)
    else:
        os.rename(staging, order.folder)
    _flush(order.folder.parent)


def switch(order: Order) -> None:
    """Point `current` at the release, unless a later deployment has already switched."""
    with _locked(order.slot_dir):
        last = last_turn(order.slot_dir)
        if last > order.turn:
            raise Broken("superseded", "A later deployment has switched this slot. Nothing was changed.")
        aside = order.slot_dir / f".current-{order.turn[0]}-{order.turn[1]}"
        aside.unlink(missing_ok=True)
        aside.symlink_to(Path("releases") / order.release)
        note = order.slot_dir / ".switch.json"
        note.write_text(json.dumps({"turn": list(order.turn), "release": order.release}))
        _flush(note)
        # The note goes first: a crash in between leaves the old adapter live and this turn repeatable.
        point("release.before_switch")
        os.replace(note, order.slot_dir / "switch.json")
        os.replace(aside, order.slot_dir / "current")
        _flush(order.slot_dir)
    point("release.switched")


def last_turn(slot_dir: Path) -> tuple[int, int]:
    try:
        first, second = json.loads((slot_dir / "switch.json").read_text())["turn"]
    except FileNotFoundError:
        return (0, 0)
    return (int(first), int(second))


def _inside(root: Path, name: str) -> Path:
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise Broken("unsafe_path", f"{name!r} points outside its folder.")
    return path


@contextmanager
def _locked(slot_dir: Path) -> Iterator[None]:
    with (slot_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
