"""Which files make a base model what it is, and how their hashes become one fingerprint."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
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
INDEX = "model.safetensors.index.json"
# Files whose content transformers acts on when it loads a model.
CONFIGS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "special_tokens_map.json",
)
MOST_CONFIG, MOST_NUMBER = 16_000_000, 2**31 - 1
ASKS_FOR_CODE = ("auto_map", "custom_pipelines")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
CODE = (".py", ".pyc", ".so")


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
    if name.endswith(".safetensors") or name == INDEX:
        return "weights"
    return None


def check_files(names: Iterable[str]) -> None:
    """Refuse what would need code to be run or a pickle to be opened, and what is no model at all.

    Names are relative to the model's folder; code may lie deeper, weights may not.
    """
    files = sorted(names)
    if scripts := [name for name in files if name.lower().endswith(CODE)]:
        raise UnusableBase(
            f"The model brings its own code ({scripts[0][:120]}). Luthier never runs code that comes with a model. "
            "Choose a model that transformers supports by itself.",
            code="custom_code",
        )
    if not any(name.endswith(".safetensors") and "/" not in name for name in files):
        pickled = next((name for name in files if name.lower().endswith(PICKLES)), None)
        found = f"only found {pickled[:120]}" if pickled else "found no weights"
        raise UnusableBase(
            f"Weights must be safetensors files, but I {found}. Convert the model first.",
            code="only_safetensors",
        )
    for needed in ("config.json", "tokenizer.json"):
        if needed not in files:
            raise UnusableBase(
                f"The directory has no {needed}, so it is no complete model. Add it.", code="incomplete_model"
            )


def check_config(config: Mapping[str, Any], name: str = "config.json") -> None:
    """Refuse a config that asks for code of its own, however deep within it."""
    if key := next(_asked(config), ""):
        raise UnusableBase(f"{name} asks for code of its own ({key}), which Luthier never runs.", code="custom_code")
    if name == "config.json" and not config.get("architectures"):
        raise UnusableBase("The model's config names no architecture.", code="incomplete_model")


def _asked(config: Mapping[str, Any]) -> Iterator[str]:
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield from (key for key in ASKS_FOR_CODE if value.get(key))
            if value.get("trust_remote_code") not in (None, False):
                yield "trust_remote_code"
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def check_index(index: Mapping[str, Any], held: Mapping[str, set[str]]) -> None:
    """The index of the shards names files of this folder only, and each holds what it is said to hold."""
    listed = index.get("weight_map")
    if not isinstance(listed, Mapping) or not listed or not all(isinstance(name, str) for name in listed.values()):
        raise UnusableBase(f"{INDEX} does not say which tensor lies in which file.", code="damaged_config")
    for shard in sorted(set(listed.values())):
        if shard != PurePosixPath(shard).name or "\\" in shard or not shard.endswith(".safetensors"):
            raise UnusableBase(f"{INDEX} names “{shard[:120]}”, which is no weights file of this folder.",
                               code="unsafe_path")  # fmt: skip
        if shard not in held:
            raise UnusableBase(
                f"{INDEX} names the file {shard[:120]}, which is missing. Copy the whole model.",
                code="incomplete_model",
            )
    lost = next((name for name, shard in listed.items() if name not in held[shard]), None)
    if lost is not None:
        raise UnusableBase(f"{listed[lost]} does not hold the tensor {lost[:120]} that {INDEX} promises.",
                           code="damaged_weights")  # fmt: skip


def facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a model, from its config."""
    named = config["architectures"]
    if not isinstance(named, list) or not isinstance(named[0], str) or len(named[0]) > 100:
        raise UnusableBase("config.json names its architecture in an unknown way.", code="damaged_config")
    return {
        "architecture": named[0],
        "context_length": context_length(config),
        "vocab_size": _number(config, "vocab_size"),
    }


def context_length(config: Mapping[str, Any]) -> int:
    """Tokens that the model can see; 0 when it does not say."""
    return _number(config, "max_position_embeddings", "n_positions")


def shape(config: Mapping[str, Any]) -> dict[str, int]:
    return {
        "hidden": _number(config, "hidden_size", "n_embd"),
        "layers": _number(config, "num_hidden_layers", "n_layer"),
        "heads": _number(config, "num_attention_heads", "n_head") or 1,
        "kv_heads": _number(config, "num_key_value_heads"),
        "head_dim": _number(config, "head_dim"),
        "intermediate": _number(config, "intermediate_size", "n_inner"),
    }


def quantisation(config: Mapping[str, Any]) -> str:
    """How its weights are quantised, as its config says: “gptq 4 bit”, “bitsandbytes 4 bit nf4”; empty for not."""
    told = config.get("quantization_config")
    if not isinstance(told, Mapping) or not told:
        return ""
    method = told.get("quant_method") or told.get("quant_algo") or "unknown method"
    bits = (
        told.get("bits")
        or told.get("w_bit")
        or (4 if told.get("load_in_4bit") else 8 if told.get("load_in_8bit") else 0)
    )
    kind = told.get("bnb_4bit_quant_type") if told.get("load_in_4bit") else ""
    words = [str(method).lower(), f"{bits} bit" if isinstance(bits, int) and 0 < bits < 33 else "", str(kind or "")]
    return " ".join(filter(None, words))[:60]


def _number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these that the model's text part has; 0 when it says none."""
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) and inner else config
    value = next((text[name] for name in names if text.get(name) is not None), 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_NUMBER:
        raise UnusableBase(f"config.json: “{names[0]}” is no number that a model can have.", code="damaged_config")
    return value


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
