"""What the page of a base-model version shows: parts of its fingerprint, its shards, where its files lie."""

from typing import Any

from django.utils import timezone

from training import selectors
from training.domain import fingerprint
from training.models import BaseModelVersion


def base_facts(base: BaseModelVersion) -> list[tuple[str, str, str]]:
    """Parts of a fingerprint: name, hash, what it guards against."""
    parts = base.parts
    shards = parts.get("weights", {})
    return [
        ("config.json", parts.get("config", ""), "Shape of the network. Another config is another model."),
        (
            "Tokenizer",
            parts.get("tokenizer", ""),
            "How text becomes numbers. An adapter hears noise under another one.",
        ),
        ("Chat template", parts.get("chat_template", ""), "How turns are written down for the model."),
        ("Generation config", parts.get("generation_config", ""), "Defaults for writing answers."),
        ("Weights", fingerprint.combine_files(shards), "The network itself, file by file below."),
    ]


def base_shards(base: BaseModelVersion) -> list[tuple[str, int | None, str]]:
    """Each file of the weights, and their index: name, bytes, sha256."""
    sizes = base.parts.get("sizes", {})
    return [(name, sizes.get(name), value) for name, value in sorted(base.parts.get("weights", {}).items())]


def base_copies(base: BaseModelVersion) -> dict[str, Any]:
    """Where the files lie, what is being checked, and what cannot be used."""
    found = selectors.copies(base, timezone.now())
    return {
        "copies": found,
        "check": base.checks.order_by("-pk").first(),
        "checking": any(copy.check for copy in found) or base.checks.filter(state__in=("queued", "running")).exists(),
    }
