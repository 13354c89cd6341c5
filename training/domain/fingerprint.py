"""Which files make a base model what it is, and how their hashes become one fingerprint."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from projects.domain.errors import Invalid

TOKENIZER_FILES = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
    }
)
PARTS = ("config", "tokenizer", "chat_template", "generation_config", "weights")
TEMPLATE_FILE = "chat_template.jinja"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")


class UnusableBase(Invalid):
    """The directory is no base model that may be loaded here."""

    code = "unusable_base"


def role(name: str) -> str | None:
    """The part of the fingerprint a file belongs to; None for files that change nothing (README, licence …)."""
    if name == "config.json":
        return "config"
    if name == "generation_config.json":
        return "generation_config"
    if name == TEMPLATE_FILE:
        return "chat_template"
    if name in TOKENIZER_FILES:
        return "tokenizer"
    if name.endswith(".safetensors") or name == "model.safetensors.index.json":
        return "weights"
    return None


def check_files(names: Iterable[str]) -> None:
    """Refuse what would need code to be run or a pickle to be opened, and what is no model at all."""
    files = sorted(names)
    if scripts := [name for name in files if name.endswith(".py")]:
        raise UnusableBase(
            f"The model brings its own code ({scripts[0]}). Luthier never runs code that comes with a model. "
            "Choose a model that transformers supports by itself.",
            code="custom_code",
        )
    if not any(name.endswith(".safetensors") for name in files):
        pickled = next((name for name in files if name.endswith(PICKLES)), None)
        found = f"only found {pickled}" if pickled else "found no weights"
        raise UnusableBase(
            f"Weights must be safetensors files, but I {found}. Convert the model first.",
            code="only_safetensors",
        )
    for needed in ("config.json", "tokenizer.json"):
        if needed not in files:
            raise UnusableBase(
                f"The directory has no {needed}, so it is no complete model. Add it.", code="incomplete_model"
            )


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse a config that asks for code of its own."""
    if "auto_map" in config:
        raise UnusableBase(
            "The model's config asks for code of its own (auto_map), which Luthier never runs.",
            code="custom_code",
        )
    if not config.get("architectures"):
        raise UnusableBase("The model's config names no architecture.", code="incomplete_model")


def of(parts: Mapping[str, Any]) -> str:
    """The fingerprint: one sha256 over the hashes of all parts. Sizes follow from the weights and are left out."""
    return combine({name: parts[name] for name in PARTS})


def combine(parts: Mapping[str, Any]) -> str:
    """One sha256 over several values, whatever order they were computed in."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def combine_files(hashes: Mapping[str, str]) -> str:
    """One sha256 for a part that consists of several files; empty when it has none."""
    return combine(dict(hashes)) if hashes else ""


def changed(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Names of the parts that differ, in words: “config”, “weights model.safetensors” …"""
    names = [name for name in PARTS[:-1] if expected.get(name) != found.get(name)]
    before, after = expected.get("weights", {}), found.get("weights", {})
    return names + [
        f"weights {name}" for name in sorted(set(before) | set(after)) if before.get(name) != after.get(name)
    ]
