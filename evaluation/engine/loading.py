"""Base and adapter in memory: files checked against what was recorded, then loaded once, safetensors only."""

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import PreTrainedModel

from datasets_app.engine.renderer import Renderer
from datasets_app.engine.rendering import ChatTokenizer
from evaluation.engine.spec import EvaluationSpec
from training.domain import adapters
from training.engine import hashing, proof, sketch
from training.engine import model as models
from training.engine.events import EngineError, emit


@dataclass
class Pair:
    """One set of base weights with the adapter on top; the adapter can be switched off and on."""

    model: PeftModel
    chat: ChatTokenizer
    device: models.Device
    context: int
    stops: list[int]
    proof: dict[str, Any] = field(default_factory=dict)  # what the effect proof of this load found

    @property
    def pad(self) -> int:
        token = self.chat.specials.get("pad_token")
        found = self.chat.tokenizer.token_to_id(token) if token else None
        return found if found is not None else self.stops[0]


def check_adapter(folder: Path, manifest: dict[str, Any], revision: str) -> None:
    """Every stored file is there unchanged, names this base, and nothing in the folder could run code."""
    wanted = manifest.get("files") or {}
    adapters.check_names(wanted)
    adapters.check_names(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for name, entry in wanted.items():
        if not (folder / name).is_file() or hashing.sha256_file(folder / name) != entry["sha256"]:
            raise EngineError(
                f"{name} of the adapter is not the file that was trained. Restore it, or train it again.",
                code="adapter_damaged",
            )
    config = json.loads((folder / adapters.CONFIG).read_text())
    adapters.check_config(config, base=config.get("base_model_name_or_path"), revision=revision)


def check_base(folder: Path, parts: dict[str, Any]) -> None:
    """Configuration, tokenizer, template and every weight shard are those of the registered version."""
    if not folder.is_dir():
        raise EngineError(f"The base model's folder {folder.name} is gone. Put it back.", code="base_missing")
    if changed := hashing.differences(folder, parts, full=True):
        raise EngineError(
            f"The base model's files are not those of the registered version ({', '.join(changed[:3])}). "
            "Register the present files as a new version, or put the old ones back.",
            code="base_changed",
        )


def load(spec: EvaluationSpec) -> Pair:
    """Check, then load: fp32 on a processor, bf16 on a GPU. Code that comes with a model never runs."""
    base, adapter = Path(spec.base), Path(spec.adapter)
    check_adapter(adapter, spec.manifest, spec.revision)
    check_base(base, spec.parts)
    chat = ChatTokenizer(base, Renderer(base))  # ends with this process
    if not chat.template_text:
        raise EngineError("The base has no chat template, so there is no way to ask it a question.", code="no_template")
    device = models.choose_device(spec.device)
    plain = models.load_base(spec.base, device, four_bit=False).to(device.kind)
    context, stops = _context(plain), _stops(plain, chat)
    model = with_adapter(plain, adapter).eval()
    return Pair(model, chat, device, context, stops, proved(model, spec))


def proved(model: PeftModel, spec: EvaluationSpec) -> dict[str, Any]:
    """The effect proof of what has just been loaded. Of an adapter that was made before sketches were kept,

    the sketch is taken from its file, whose sha256 has been checked.
    """
    stored = dict(spec.proof)
    if not stored.get("weights"):
        folder = Path(spec.adapter)
        config = json.loads((folder / adapters.CONFIG).read_text())
        stored["weights"] = sketch.of_file(folder / adapters.WEIGHTS, config)
        emit("anatomy", anatomy=stored["weights"])
    return proof.check(model, stored, Path(spec.base), own_base=spec.own_base)


def with_adapter(plain: PreTrainedModel, folder: Path) -> PeftModel:
    stored = _finite_names(folder / adapters.WEIGHTS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what does not fit is named below
            model = PeftModel.from_pretrained(plain, folder, is_trainable=False, use_safetensors=True)
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            "The adapter does not fit this base model: its shapes or module names are those of another one.",
            code="adapter_mismatch",
            detail=str(error)[:2_000],
        ) from error
    expected = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    if lost := sorted(expected ^ stored):
        raise EngineError(
            f"{len(lost)} weights of adapter and base model do not meet, the first is {lost[0]}.",
            code="adapter_mismatch",
        )
    return model


def _finite_names(path: Path) -> set[str]:
    """Names of all stored weights, once each is known to hold numbers."""
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        for name in sorted(names):
            if not torch.isfinite(file.get_tensor(name)).all():
                raise EngineError(
                    f"The adapter holds weights that are not finite ({name}). Train it again.",
                    code="adapter_invalid",
                )
    return names


def _context(model: PreTrainedModel) -> int:
    """How many tokens the model can see, as its configuration says it."""
    config = model.config.get_text_config()
    bounds = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "n_ctx")]
    return min([bound for bound in bounds if bound], default=1_000_000)


def _stops(model: PreTrainedModel, chat: ChatTokenizer) -> list[int]:
    """All tokens that end an answer: the tokenizer's own and those of the generation configuration."""
    configured = model.generation_config.eos_token_id if model.generation_config else None
    listed = configured if isinstance(configured, list) else [configured]
    stops = list(dict.fromkeys(token for token in [chat.eos_id, *listed] if token is not None))
    if not stops:
        raise EngineError("The base has no end-of-answer token, so its answers would never end.", code="no_end_token")
    return stops
