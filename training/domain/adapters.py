"""What may be in an adapter directory: which files, which config keys, and what its tensors must look like."""

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from projects.domain.errors import Invalid

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
# Every key that PEFT 0.21 writes for LoRA.
CONFIG_KEYS = frozenset({
    "peft_type", "base_model_name_or_path", "revision", "peft_version", "task_type", "auto_mapping",
    "inference_mode", "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules",
    "target_parameters", "bias", "lora_bias", "use_rslora", "use_dora", "modules_to_save", "init_lora_weights",
    "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "trainable_token_indices",
    "fan_in_fan_out", "layer_replication", "use_qalora", "qalora_group_size", "eva_config", "corda_config",
    "loftq_config", "megatron_config", "megatron_core", "alora_invocation_tokens", "arrow_config",
    "ensure_weight_tying", "use_bdlora", "lora_ga_config", "velora_config", "kasa_config", "monteclora_config",
    "mica_config",
})  # fmt: skip
HEADER_LIMIT = 100_000_000


class UnsafeAdapter(Invalid):
    """Something in the directory may not be opened, served or trusted."""

    code = "unsafe_adapter"


def check_names(names: Iterable[str]) -> None:
    files = sorted(names)
    if pickled := [name for name in files if name.endswith(PICKLES)]:
        raise UnsafeAdapter(
            f"{pickled[0]} is a pickle, and those can run code. Only safetensors are taken.",
            code="only_safetensors",
        )
    if strange := [name for name in files if name not in FILES]:
        raise UnsafeAdapter(f"{strange[0]} does not belong into an adapter directory.", code="unknown_file")
    for needed in (WEIGHTS, CONFIG, CARD):
        if needed not in files:
            raise UnsafeAdapter(f"The adapter has no {needed}.", code="incomplete_adapter")


def check_config(raw: Mapping[str, Any], *, base: str, revision: str) -> None:
    """Only known keys, LoRA, and exactly the base it was trained on."""
    if unknown := sorted(set(raw) - CONFIG_KEYS):
        raise UnsafeAdapter(
            f"adapter_config.json has the unknown key “{unknown[0]}”.",
            code="unsafe_adapter_config",
            field=unknown[0],
        )
    if raw.get("auto_mapping") or raw.get("peft_type") != "LORA":
        raise UnsafeAdapter(
            "adapter_config.json asks for something other than plain LoRA.", code="unsafe_adapter_config"
        )
    if raw.get("base_model_name_or_path") != base or raw.get("revision") != revision:
        raise UnsafeAdapter(
            "adapter_config.json names another base model or revision.", code="wrong_base", field="revision"
        )


def read_header(first: bytes, size: int) -> dict[str, dict[str, Any]]:
    """The tensors of a safetensors file from its first bytes; `size` is the length of the whole file."""
    if len(first) < 8:
        raise UnsafeAdapter("The weights file is too short to be one.", code="damaged_weights")
    (length,) = struct.unpack("<Q", first[:8])
    if length > HEADER_LIMIT or 8 + length > size or len(first) < 8 + length:
        raise UnsafeAdapter("The weights file has an impossible header.", code="damaged_weights")
    try:
        header = json.loads(first[8 : 8 + length])
    except ValueError as problem:
        raise UnsafeAdapter("The weights file has a damaged header.", code="damaged_weights") from problem
    header.pop("__metadata__", None)
    ends = [entry["data_offsets"][1] for entry in header.values()]
    if 8 + length + max(ends, default=0) != size:
        raise UnsafeAdapter("The weights file has been cut or extended.", code="damaged_weights")
    return header


def check_tensors(header: Mapping[str, Mapping[str, Any]], rank: int) -> None:
    """Every tensor is one half of a LoRA pair of the promised rank."""
    for name, entry in header.items():
        axis = 0 if "lora_A" in name else 1 if "lora_B" in name else None
        if axis is None or len(entry["shape"]) < 2 or entry["shape"][axis] != rank:
            raise UnsafeAdapter(
                f"The tensor {name} {entry['shape']} is no LoRA matrix of rank {rank}.", code="wrong_shape"
            )
    if not header:
        raise UnsafeAdapter("The weights file holds no tensors.", code="wrong_shape")


def parameters(header: Mapping[str, Mapping[str, Any]]) -> int:
    """How many numbers were trained."""
    total = 0
    for entry in header.values():
        count = 1
        for side in entry["shape"]:
            count *= side
        total += count
    return total
