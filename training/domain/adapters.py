"""What may be in an adapter directory: which files, which config keys, and what its tensors must look like."""

from collections.abc import Iterable, Mapping
from typing import Any

from projects.domain.errors import Invalid
from training.domain import adapter_config, integrity
from training.domain.findings import Finding, told

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
CARD = "README.md"
MANIFEST = "MANIFEST.json"
# A whole tokenizer travels along, so that an adapter is served with the template it was trained with.
FILES = frozenset(
    {
        WEIGHTS,
        CONFIG,
        CARD,
        MANIFEST,
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
    }
)
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


class UnsafeAdapter(Invalid):
    """Something in the directory may not be opened, served or trusted."""

    code = "unsafe_adapter"


def check_names(names: Iterable[str]) -> None:
    if wrong := about_names(names):
        raise UnsafeAdapter(told(wrong), code=wrong[0].code, field=wrong[0].where)


def about_names(names: Iterable[str], needed: Iterable[str] = (WEIGHTS, CONFIG, CARD)) -> list[Finding]:
    """Pickles first, then what does not belong, then what is missing. No file is opened for it."""
    files = sorted(names)
    pickled = [name for name in files if name.lower().endswith(PICKLES)]
    strange = [name for name in files if name not in FILES and name not in pickled]
    return [
        *(
            Finding(
                "only_safetensors",
                f"{name[:120]} is a pickle, and those can run code. Only safetensors are taken.",
                name[:120],
            )
            for name in pickled
        ),
        *(
            Finding("unknown_file", f"{name[:120]} does not belong in an adapter directory.", name[:120])
            for name in strange
        ),
        *(Finding("incomplete_adapter", f"The adapter has no {name}.", name) for name in needed if name not in files),
    ]


def check_config(raw: Mapping[str, Any], *, base: str, revision: str) -> None:
    """Only known keys with sane values, LoRA, and exactly the base it was trained on."""
    if wrong := adapter_config.findings(raw):
        raise UnsafeAdapter(told(wrong), code=wrong[0].code, field=wrong[0].where)
    if raw.get("base_model_name_or_path") != base or raw.get("revision") != revision:
        raise UnsafeAdapter(
            "adapter_config.json names another base model or revision.", code="wrong_base", field="revision"
        )


def check_tensors(header: Mapping[str, Mapping[str, Any]], rank: int) -> None:
    """Every tensor is one half of a LoRA pair of the promised rank."""
    if wrong := integrity.about_pairs({name: tuple(entry["shape"]) for name, entry in header.items()}, rank):
        raise UnsafeAdapter(told(wrong), code=wrong[0].code, field=wrong[0].where)
