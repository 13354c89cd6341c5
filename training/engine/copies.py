"""Looking at the files of a registered base: at a glance by names, sizes and times, or at every byte."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.domain import fingerprint
from training.domain.copies import Seen
from training.engine import hashing

SMALL = {
    "config": "config.json",
    "generation_config": "generation_config.json",
    "tokenizer": "tokenizer files",
    "chat_template": "chat template",
}


def glance(folder: Path, parts: Mapping[str, Any], memory: Path) -> Seen:
    """What differs from what was registered. Small files are read; of weights only what the file system says.

    `memory` is what runs on this host remember of hashed files. Raises nothing: whatever cannot be read is missing.
    """
    if not folder.is_dir():
        return Seen(missing=["The folder"])
    try:
        return _glance(folder, parts, hashing.Remembered(memory))
    except (OSError, fingerprint.UnusableBase) as trouble:
        name = getattr(trouble, "filename", None)
        return Seen(changed=[f"{Path(name).name if name else 'a file'} (cannot be read)"])


def _glance(folder: Path, parts: Mapping[str, Any], remembered: hashing.Remembered) -> Seen:
    weights: Mapping[str, str] = parts.get("weights", {})
    sizes: Mapping[str, int] = parts.get("sizes", {})
    there = {path.name: path for path in folder.iterdir() if fingerprint.role(path.name) == "weights"}
    missing = sorted(set(weights) - set(there))
    changed = [f"{name} (new)" for name in sorted(set(there) - set(weights))]
    untold = 0.0
    for name in sorted(set(weights) & set(there)):
        path = there[name]
        found = path.stat()
        known = remembered.sha256(path) if remembered.knows(path) else None
        if sizes.get(name, found.st_size) != found.st_size or known not in (None, weights[name]):
            changed.append(name)
        elif known is None:
            untold = max(untold, found.st_mtime, found.st_ctime)
    small = hashing.base_parts(folder, whole=False)
    changed += [word for part, word in SMALL.items() if parts.get(part, "") != small[part]]
    return Seen(missing, changed, untold)


def compare(folder: Path, parts: Mapping[str, Any], memory: Path, tell: hashing.Tell) -> Seen:
    """The same after reading every byte anew; what is found is remembered for runs on this host."""
    if not folder.is_dir():
        return Seen(missing=["The folder"])
    memory.unlink(missing_ok=True)
    remembered = hashing.Remembered(memory)
    for path in sorted(folder.iterdir()):
        if fingerprint.role(path.name) == "weights" and path.is_file():
            remembered.sha256(path, tell)
    remembered.keep()
    return glance(folder, parts, memory)
