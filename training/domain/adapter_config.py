"""adapter_config.json as PEFT writes it for plain LoRA: which keys may be there, and what may stand in each.

PEFT acts on this file: `auto_mapping` and `megatron_core` name modules that it imports, `target_modules` as one text is
a regular expression that it runs. So every key has its own check, and what is not listed is refused.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from training.domain.documents import BadDocument, read_object
from training.domain.findings import Finding

MOST_BYTES = 256 * 1024
MOST_RANK, MOST_ALPHA, MOST_NAMES = 8192, 1_000_000, 4096
# vLLM's --max-lora-rank is one of these; SGLang and LoRAX take what vLLM takes.
SERVED_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
NAME = re.compile(r"^[A-Za-z0-9_.-]{1,200}$", re.ASCII)
REVISION = re.compile(r"^[\w][\w./-]{0,99}$", re.ASCII)
ALL_LINEAR = "all-linear"
INITS = ("gaussian", "orthogonal")  # ways to start that leave the base as it is

Check = Callable[[Any], str]  # what is wrong with a value, in words; empty for nothing


def is_plain_name(value: Any) -> bool:
    """A name to look up in a registry, such as “acme/base”; never an address and never a path."""
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        return False
    is_address = "://" in value or value.startswith(("/", ".", "~", "-")) or "\\" in value or ":/" in value
    return not is_address and ".." not in value.split("/") and value == value.strip()


def _base(value: Any) -> str:
    if value is None or is_plain_name(value):
        return ""
    return "names its base by an address or a path. A base is looked up by its name, never opened"


def _revision(value: Any) -> str:
    good = value is None or (isinstance(value, str) and REVISION.match(value))
    return "" if good else "is no revision"


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> str:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if whole and low <= value <= high else f"must be a whole number from {low} to {high:,}"

    return check


def _alpha(value: Any) -> str:
    good = _is_number(value) and value == int(value) and 1 <= value <= MOST_ALPHA
    return "" if good else f"must be a whole number from 1 to {MOST_ALPHA:,}"


def _share(value: Any) -> str:
    return "" if _is_number(value) and 0 <= value <= 1 else "must be a number from 0 to 1"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _names(value: Any) -> str:
    """A list of plain names: one text that is no name would be run as a regular expression."""
    listed = [value] if isinstance(value, str) else value
    good = isinstance(listed, list) and len(listed) <= MOST_NAMES
    good = good and all(isinstance(one, str) and NAME.match(one) for one in listed)
    return "" if good else "must be a list of plain names of layers, no pattern"


def _maybe(check: Check) -> Check:
    return lambda value: "" if value is None else check(value)


def _layers(value: Any) -> str:
    listed = [value] if isinstance(value, int) else value
    good = isinstance(listed, list) and len(listed) <= MOST_NAMES and not any(_whole(0, 100_000)(n) for n in listed)
    return "" if good else "must be numbers of layers"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and len(value) <= 60 and value.isprintable() else "must be a short text"


def _only(*allowed: Any) -> Check:
    def check(value: Any) -> str:
        good = any(type(value) is type(one) and value == one for one in allowed)
        return "" if good else f"must be {' or '.join(str(one) for one in allowed)}"

    return check


# Checked by their own rule: a wrong value is unsafe.
CHECKED: dict[str, Check] = {
    "peft_type": _only("LORA"),
    "base_model_name_or_path": _base,
    "revision": _revision,
    "peft_version": _maybe(_text),
    "auto_mapping": _only(None),
    "megatron_config": _only(None),
    "megatron_core": _only(None, "megatron.core"),
    "inference_mode": _flag,
    "r": _whole(1, MOST_RANK),
    "lora_alpha": _alpha,
    "lora_dropout": _share,
    "target_modules": _names,
    "exclude_modules": _maybe(_names),
    "layers_to_transform": _maybe(_layers),
    "layers_pattern": _maybe(_names),
    "fan_in_fan_out": _flag,
    "use_rslora": _flag,
    "qalora_group_size": _whole(1, 4096),
}
# Allowed to be there, but only switched off: nothing here and few servers can use the kinds of adapter they make.
OFF: tuple[Any, ...] = (None, False, {}, [], "")
SWITCHED_OFF = frozenset({
    "target_parameters", "lora_bias", "use_dora", "modules_to_save", "rank_pattern", "alpha_pattern",
    "trainable_token_indices", "layer_replication", "use_qalora", "eva_config", "corda_config", "loftq_config",
    "alora_invocation_tokens", "arrow_config", "ensure_weight_tying", "use_bdlora", "lora_ga_config", "velora_config",
    "kasa_config", "monteclora_config", "mica_config",
})  # fmt: skip
USABLE: dict[str, Check] = {
    "task_type": _only("CAUSAL_LM", None),
    "bias": _only("none"),
    "init_lora_weights": _only(True, False, *INITS),
}
KEYS = frozenset(CHECKED) | SWITCHED_OFF | frozenset(USABLE)
NEEDED = ("peft_type", "r", "lora_alpha", "target_modules")


def read(data: bytes) -> tuple[dict[str, Any], list[Finding]]:
    """The config and all that is wrong with it; an empty one when it cannot be read at all."""
    try:
        raw = read_object(data, most_bytes=MOST_BYTES)
    except BadDocument as problem:
        return {}, [_unsafe("", f"adapter_config.json {problem}.")]
    return raw, findings(raw)


def findings(raw: Mapping[str, Any]) -> list[Finding]:
    """Everything that speaks against a config, key by key."""
    found = [_unsafe(key, f"adapter_config.json has the unknown key “{key[:60]}”.") for key in sorted(set(raw) - KEYS)]
    for key, check in CHECKED.items():
        if key in raw and (wrong := check(raw[key])):
            found.append(_unsafe(key, f"adapter_config.json: “{key}” {wrong}."))
    for key, check in USABLE.items():
        if key in raw and (wrong := check(raw[key])):
            found.append(_unsupported(key, wrong))
    for key in sorted(SWITCHED_OFF & set(raw)):
        if not _is_off(raw[key]):
            found.append(_unsupported(key, "must be off"))
    found += [
        _unsafe(key, f"adapter_config.json does not say “{key}”.") for key in NEEDED if raw.get(key) in (None, [], "")
    ]
    return found


def _is_off(value: Any) -> bool:
    return any(type(value) is type(one) and value == one for one in OFF)


def _unsafe(key: str, text: str) -> Finding:
    return Finding("unsafe_adapter_config", text, key[:60])


def _unsupported(key: str, wrong: str) -> Finding:
    return Finding(
        "unsupported_adapter", f"adapter_config.json: “{key}” {wrong}. Only plain LoRA can be used here.", key
    )


def served_rank(rank: int) -> int | None:
    """The smallest --max-lora-rank that serves this rank; None when no server goes so far."""
    return next((served for served in SERVED_RANKS if rank <= served), None)


def about_serving(rank: int) -> list[Finding]:
    if served_rank(rank) is not None:
        return []
    return [
        Finding(
            "rank_beyond_servers",
            f"Its rank is {rank}, and servers take {SERVED_RANKS[-1]} at most. Train it with a smaller rank.",
            "r",
            refuses=False,
        )
    ]


def canonical(raw: Mapping[str, Any], *, base: str, revision: str, target_modules: Sequence[str]) -> dict[str, Any]:
    """The config as it is kept: only what has been understood, and exactly the base it is used with."""
    kept = {key: raw[key] for key in ("peft_version", "use_rslora", "fan_in_fan_out") if key in raw}
    return kept | {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "revision": revision,
        "inference_mode": True,
        "r": raw["r"],
        "lora_alpha": int(raw["lora_alpha"]),
        "lora_dropout": float(raw.get("lora_dropout") or 0.0),
        "bias": "none",
        "target_modules": sorted(target_modules),
    }
