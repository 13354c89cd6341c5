"""Reads from the files of a base what is remembered to compare it with others."""

import json
from pathlib import Path
from typing import Any

from training.domain import anatomy
from training.engine import hashing, weights

SCHEMA = 1
TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt")


def of_base(folder: Path) -> dict[str, Any]:
    """Shapes, config and tokenizer of a base whose files have been found usable."""
    return {
        "schema": SCHEMA,
        "tensors": anatomy.fold(weights.base_shapes(folder)),
        "config": anatomy.of_config(weights.read_config(folder / "config.json")),
        "tokenizer": anatomy.of_tokenizer(
            _document(folder / "tokenizer.json"),
            weights.read_config(folder / "tokenizer_config.json"),
            weights.read_config(folder / "special_tokens_map.json"),
        ),
        "files": {name: hashing.sha256_file(folder / name) for name in TOKENIZER if (folder / name).is_file()},
    }


def _document(path: Path) -> dict[str, Any]:
    """Larger than a config may be, and read before by the library that uses it."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
