"""What a checkpoint says about itself, and why one may not be used: torn, flipped, swapped, edited or foreign."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.domain.spec import RunSpec, digest
from training.engine.hashing import sha256_file
from training.engine.versions import packages

NAME = "MANIFEST.json"
VERSION = 2
SOURCES = (Path(__file__).parent, Path(__file__).parents[1] / "domain")


@dataclass(frozen=True)
class Origin:
    """What a checkpoint was made from, which must be equal to go on, and what it was made with, which should be."""

    spec: str
    base: str = ""
    data: str = ""
    code: str = ""
    packages: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, spec: RunSpec) -> "Origin":
        return cls(spec.digest, spec.base.fingerprint, spec.data.content_hash, code_digest(), packages())

    @property
    def made_from(self) -> dict[str, str]:
        return {"spec": self.spec, "base": self.base, "data": self.data}


def code_digest() -> str:
    """sha256 over the programs that decide what a step does."""
    found = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted(folder.rglob("*.py")):
            found.update(f"{path.relative_to(folder.parent)}\0".encode() + path.read_bytes())
    return found.hexdigest()


def files_in(folder: Path) -> dict[str, Path]:
    """Everything below a checkpoint but its manifest, by relative name; folders are not listed."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {name: path for name, path in found.items() if name != NAME and (path.is_symlink() or not path.is_dir())}


def write(folder: Path, step: int, origin: Origin) -> Path:
    """Hash all files of a finished checkpoint and say so beside them."""
    files = files_in(folder)
    listed = {name: {"sha256": sha256_file(path), "size": path.stat().st_size} for name, path in files.items()}
    raw = {"version": VERSION, "step": step, **origin.made_from, "files": listed}
    raw |= {"code": origin.code, "packages": dict(origin.packages), "packages_digest": digest(origin.packages)}
    place = folder / NAME
    place.write_text(json.dumps(raw | {"digest": digest(raw)}, indent=1, sort_keys=True))
    return place


def problem(folder: Path, step: int, origin: Origin, known: str = "") -> str | None:
    """Why a checkpoint may not be used, from all of its bytes; None when it may.

    `known` is the sha256 of its manifest as the database holds it, where the checkpoint got that far.
    """
    raw = _read(folder)
    if raw is None:
        return "its manifest is missing or damaged"
    if known and sha256_file(folder / NAME) != known:
        return "its manifest is not the one that was saved"
    if raw["step"] != step:
        return f"it belongs to step {raw['step']}"
    if foreign := [name for name, value in origin.made_from.items() if raw.get(name) != value]:
        return f"it belongs to another {foreign[0]}"
    try:
        return _wrong_size(folder, raw["files"]) or _wrong_bytes(folder, raw["files"])
    except OSError as trouble:
        return f"it cannot be read: {trouble.strerror}"


def glance(folder: Path, known: str) -> str | None:
    """The same from names and sizes alone, for a page: nobody waits for gigabytes to be read."""
    if not folder.is_dir():
        return "it is not there any more"
    raw = _read(folder)
    if raw is None or (known and sha256_file(folder / NAME) != known):
        return "its manifest is missing or damaged"
    return _wrong_size(folder, raw["files"])


def otherwise(folder: Path, origin: Origin) -> str:
    """What a whole checkpoint was made with that is not here now; nothing when all is equal."""
    raw = _read(folder) or {}
    before, now = raw.get("packages", {}), dict(origin.packages)
    changed = [
        f"{name} {before.get(name, 'missing')} → {now.get(name, 'missing')}"
        for name in sorted(set(before) | set(now))
        if before.get(name) != now.get(name)
    ]
    return ", ".join(changed) or ("another version of the engine" if raw.get("code") != origin.code else "")


def _read(folder: Path) -> dict[str, Any] | None:
    """The manifest, if it is one and nobody has edited it."""
    try:
        raw = json.loads((folder / NAME).read_text())
        own = raw.pop("digest")
        sound = raw["version"] == VERSION and own == digest(raw) and isinstance(raw["files"], dict)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return raw if sound else None


def _wrong_size(folder: Path, listed: Mapping[str, Any]) -> str | None:
    found = files_in(folder)
    if missing := sorted(set(listed) - set(found)):
        return f"{missing[0]} is missing"
    if extra := sorted(set(found) - set(listed)):
        return f"{extra[0]} does not belong to it"
    for name, path in found.items():
        if path.is_symlink() or not path.is_file():
            return f"{name} is not a plain file"
        if path.stat().st_size != listed[name]["size"]:
            return f"{name} has another size"
    return None


def _wrong_bytes(folder: Path, listed: Mapping[str, Any]) -> str | None:
    for name, expected in listed.items():
        if sha256_file(folder / name) != expected["sha256"]:
            return f"{name} has another checksum"
    return None
