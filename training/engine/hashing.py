"""sha256 of files and of base-model directories, with progress."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets_app.engine.chat_template import template_text
from training.domain import fingerprint
from training.domain.adapters import MANIFEST
from training.engine import weights

CHUNK = 4 * 1024 * 1024
Tell = Callable[[int], None]


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


def base_parts(folder: Path, *, whole: bool = True, tell: Tell = lambda _: None) -> dict[str, Any]:
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
            if not whole:
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


def differences(folder: Path, expected: dict[str, Any], *, full: bool) -> list[str]:
    """What on disk is not as registered. The quick check takes of the weights only the sizes."""
    found = base_parts(folder, whole=full)
    if not full:
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
