"""sha256 of files and of base-model directories, with progress."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from datasets_app.engine.chat_template import template_text
from training.domain import fingerprint
from training.domain.adapters import MANIFEST
from training.engine import weights

CHUNK = 4 * 1024 * 1024
KEEP_SECONDS = 2.0
Tell = Callable[[int], None]
Hashed = Callable[[Path, Tell], str]


def sha256_file(path: Path, tell: Tell = lambda _: None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            tell(len(chunk))
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """One sha256 over all files of a stored directory, as the store itself makes it."""
    files = {
        path.relative_to(folder).as_posix(): {"sha256": sha256_file(path), "size": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() != MANIFEST
    }
    return fingerprint.combine(files)


class Remembered:
    """sha256 of files on this host, kept with what the file system says of them. A file whose size, times and inode are
    those it was hashed with is not read again: a base of many gigabytes is hashed once a host, and again when touched.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.known, self.kept_at = path, dict[str, list[Any]](), time.monotonic()
        with suppress(OSError, TypeError, ValueError):
            self.known = dict(json.loads(path.read_bytes()))

    def sha256(self, path: Path, tell: Tell = lambda _: None) -> str:
        if self.knows(path):
            return str(self.known[str(path.resolve())][-1])
        before = _stamp(path)
        found = sha256_file(path, tell)
        if _stamp(path) == before:  # or somebody is writing it
            self.known[str(path.resolve())] = [*before, found]
        if time.monotonic() - self.kept_at >= KEEP_SECONDS:
            self.keep()  # whoever is killed has lost no more than a few seconds and the file at hand
        return found

    def knows(self, path: Path) -> bool:
        """Whether the file is the one that was hashed, as far as the file system says."""
        kept = self.known.get(str(path.resolve()))
        return isinstance(kept, list) and kept[:-1] == _stamp(path)

    def move(self, path: Path) -> None:
        """Keep it under another name from now on, with what is known there already."""
        old, self.path, self.known = self.path, path, Remembered(path).known | self.known
        self.keep()
        with suppress(OSError):
            old.unlink(missing_ok=True)

    def keep(self) -> None:
        """Whoever comes last wins; what is lost is hashed again. Without room for it nothing is remembered."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            aside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            aside.write_text(json.dumps(self.known))
            aside.replace(self.path)
        self.kept_at = time.monotonic()


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def base_parts(
    folder: Path, *, whole: bool = True, tell: Tell = lambda _: None, hashed: Hashed = sha256_file
) -> dict[str, Any]:
    """Hashes of the parts of a base model; not `whole`, only the sizes of its weights, which is the quick check."""
    groups: dict[str, dict[str, str]] = {
        "config": {},
        "tokenizer": {},
        "generation_config": {},
        "weights": {},
    }
    sizes: dict[str, int] = {}
    for path in sorted(folder.iterdir()):
        part = fingerprint.role(path.name)
        if part is None or part == "chat_template" or not path.is_file():
            continue
        if part == "weights":
            sizes[path.name] = path.stat().st_size
            if whole:
                groups[part][path.name] = hashed(path, tell)
            continue
        groups[part][path.name] = (
            _tokenizer_config(path) if path.name == "tokenizer_config.json" else sha256_file(path, tell)
        )
    template = template_text(folder, weights.read_config(folder / "tokenizer_config.json"))
    parts: dict[str, Any] = {
        "config": groups["config"].get("config.json", ""),
        "tokenizer": fingerprint.combine_files(groups["tokenizer"]),
        "chat_template": hashlib.sha256(template.encode()).hexdigest() if template else "",
        "generation_config": groups["generation_config"].get("generation_config.json", ""),
        "sizes": sizes,
    }
    return parts | ({"weights": groups["weights"]} if whole else {})


def differences(folder: Path, expected: dict[str, Any], *, full: bool, memory: Path | None = None) -> list[str]:
    """What on disk is not as registered.

    The full check reads all weights. With a `memory`, a file of this host, it reads those that were touched since they
    were last read; without one the quick check takes of the weights only the sizes.
    """
    whole = full or memory is not None
    remembered = None if full or memory is None else Remembered(memory)
    found = base_parts(folder, whole=whole, hashed=remembered.sha256 if remembered else sha256_file)
    if remembered:
        remembered.keep()
    if not whole:
        found["weights"] = expected.get("weights", {})
    changed = fingerprint.changed(expected, found)
    if expected.get("sizes", found["sizes"]) != found["sizes"]:
        before, after = expected["sizes"], found["sizes"]
        names = sorted(name for name in set(before) | set(after) if before.get(name) != after.get(name))
        changed += [f"size of {name}" for name in names if f"weights {name}" not in changed]
    return changed


def _tokenizer_config(path: Path) -> str:
    """The chat template has its own part, so it is left out of the tokenizer's."""
    raw = weights.read_config(path)
    raw.pop("chat_template", None)
    return fingerprint.combine(raw)
