"""Base and adapter in memory: files checked against what was recorded, then loaded once, safetensors only."""

import hashlib
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from evaluation.engine.failure import Failure
from evaluation.engine.spec import EvaluationSpec

logger = logging.getLogger(__name__)
WEIGHTS = "adapter_model.safetensors"
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


@dataclass
class Pair:
    """One set of base weights with the adapter on top; the adapter can be switched off and on."""

    model: PeftModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    context: int
    stops: list[int]

    @property
    def pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else self.stops[0]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_adapter(folder: Path, manifest: dict[str, Any]) -> None:
    """Every file that was stored is there unchanged, and nothing in the folder could run code when loaded."""
    wanted = manifest.get("files") or {}
    for needed in ("adapter_config.json", WEIGHTS):
        if needed not in wanted:
            raise Failure("adapter_damaged", f"The adapter has no {needed} in its manifest. Train it again.")
    for path in folder.rglob("*"):
        if path.suffix in PICKLES:
            raise Failure("adapter_unsafe", f"The adapter holds {path.name}: pickled files are never loaded.")
    for name, entry in wanted.items():
        path = folder / name
        if not path.is_file() or sha256(path) != entry["sha256"]:
            raise Failure(
                "adapter_damaged",
                f"{name} of the adapter is not the file that was trained. Restore the storage, or train it again.",
            )
    kind = json.loads((folder / "adapter_config.json").read_text()).get("peft_type")
    if kind != "LORA":
        raise Failure("adapter_unsupported", f"The adapter is of the kind {kind}; only LoRA adapters are evaluated.")


def check_base(folder: Path, parts: dict[str, Any]) -> None:
    """The weight shards and the configuration are those that the base-model version was registered with."""
    weights = parts.get("weights") or {}
    changed = [name for name, digest in weights.items() if not _is(folder / name, digest)]
    if parts.get("config") and not _is(folder / "config.json", parts["config"]):
        changed.append("config.json")
    if changed:
        raise Failure(
            "base_changed",
            f"The base model's files are not those of the registered version ({', '.join(changed[:3])} differ). "
            "Register the present files as a new version, or put the old ones back.",
        )


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load(spec: EvaluationSpec) -> Pair:
    """Check, then load: fp32 on a processor, bf16 on a GPU. Code that comes with a model never runs."""
    base, adapter, where = Path(spec.base), Path(spec.adapter), device()
    check_adapter(adapter, spec.manifest)
    check_base(base, spec.parts)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    if not tokenizer.chat_template:
        raise Failure("no_chat_template", "The base model has no chat template, so there is no way to ask it a question.")
    plain = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=torch.bfloat16 if where.type == "cuda" else torch.float32,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
    ).to(where)
    pair = Pair(_with_adapter(plain, adapter), tokenizer, where, _context(plain, tokenizer), _stops(plain, tokenizer))
    pair.model.eval()
    return pair


def _with_adapter(plain: PreTrainedModel, folder: Path) -> PeftModel:
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        stored = set(file.keys())
        for name in stored:
            if not torch.isfinite(file.get_tensor(name)).all():
                raise Failure("adapter_not_finite", f"The adapter holds NaN or infinite weights ({name}). Train it again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what does not fit is named below
            model = PeftModel.from_pretrained(plain, folder, is_trainable=False, use_safetensors=True)
    except (RuntimeError, ValueError) as error:
        raise Failure(
            "adapter_mismatch",
            "The adapter does not fit this base model: its shapes or module names are those of another one.",
            str(error),
        ) from error
    expected = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    lost = sorted(expected - stored) + sorted(name for name in stored - expected if ".lora_" in name)
    if lost:
        raise Failure(
            "adapter_mismatch",
            f"{len(lost)} weights of the adapter and of the base model do not meet (first: {lost[0]}).",
        )
    return model


def _context(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens the model can see, as its configuration says it."""
    bounds = [getattr(model.config, name, None) for name in ("max_position_embeddings", "n_positions", "n_ctx")]
    return min([bound for bound in bounds if bound] + [tokenizer.model_max_length, 1_000_000])


def _stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """All tokens that end an answer: the tokenizer's own and those of the generation configuration."""
    configured = model.generation_config.eos_token_id if model.generation_config else None
    listed = configured if isinstance(configured, list) else [configured]
    stops = list(dict.fromkeys(t for t in [tokenizer.eos_token_id, *listed] if t is not None))
    if not stops:
        raise Failure("no_end_token", "The base model has no end-of-answer token, so its answers would never end.")
    return stops
