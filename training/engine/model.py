"""Loading the base model and putting LoRA on it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets_app.engine.chat_template import template_text
from training.domain import adapter_config, adapters, bounds, fingerprint, integrity
from training.domain.findings import refusing, told
from training.domain.recipe import ALL_LINEAR, Recipe
from training.domain.spec import RunSpec
from training.engine import hashing, weights
from training.engine.events import EngineError, log
from training.engine.group import ALONE, Group


@dataclass(frozen=True)
class Device:
    kind: str  # "cpu" or "cuda"
    name: str

    @property
    def is_cuda(self) -> bool:
        return self.kind == "cuda"


def choose_device(wanted: str, group: Group = ALONE) -> Device:
    """The GPU when there is one, unless the spec says otherwise; of a run on several cards the one of this process."""
    # As many as there are processes: with more visible, the trainer would split batches by threads, which TRL refuses.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(group.size))))
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(visible.split(",")[: group.size])
    # Needed for the same result twice on a GPU; read by the library when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Steps differ in length; segments that grow leave no gaps between them.
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise EngineError("The spec asks for a GPU, but this worker has none.", code="no_device")
    if there and wanted != "cpu":
        if torch.cuda.device_count() < group.size:
            raise EngineError(
                f"The run needs {group.size} cards, but this worker gives it {torch.cuda.device_count()}.",
                code="no_device",
            )
        torch.cuda.set_device(group.rank)
        return Device("cuda", torch.cuda.get_device_name())
    if not group.is_alone:
        os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // group.size))
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return Device("cpu", in_threads(torch.get_num_threads()))


def in_threads(number: int) -> str:
    """What a device without a card is called, by what makes one as fast as another."""
    return f"{number} CPU thread{'' if number == 1 else 's'}"


def check_base(spec: RunSpec) -> None:
    """The base must still be what was registered, before a minute is spent on it."""
    folder = Path(spec.base.path)
    if not folder.is_dir():
        raise EngineError("The base model's directory is gone.", code="base_missing")
    memory = Path(spec.verified) if spec.verified else None
    if changed := hashing.differences(folder, spec.base.parts, full=spec.full_check, memory=memory):
        raise EngineError(
            f"The base model “{spec.base.name}” on disk is not the version that was registered: "
            f"{', '.join(changed[:5])} changed.",
            code="base_changed",
        )


def check_recipe(spec: RunSpec) -> None:
    """What the web side refuses is refused here too: a spec may come from anywhere."""
    folder = Path(spec.base.path)
    bounds.check(
        spec.recipe,
        rows=spec.data.rows,
        context_length=fingerprint.context_length(weights.read_config(folder / "config.json")),
        linear=integrity.linear_sides(weights.base_shapes(folder)),
    )


def check_parent(spec: RunSpec) -> None:
    """The adapter to go on from must be, byte for byte, the one that was chosen, and sound."""
    if spec.parent is None:
        return
    folder = Path(spec.parent.path)
    if not folder.is_dir() or hashing.folder_digest(folder) != spec.parent.digest:
        raise EngineError(
            f"The files of {spec.parent.label} are not those that were stored. Restore them from a backup.",
            code="artefact_damaged",
        )
    adapters.check_names(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    config, wrong = adapter_config.read((folder / adapters.CONFIG).read_bytes())
    wrong = wrong or weights.adapter_findings(folder / adapters.WEIGHTS, config, None)
    if wrong := refusing(wrong):
        # Matrices of another size say that it is another adapter than it was taken for, not that it is harmful.
        code = "parent_mismatch" if wrong[0].code == "wrong_shape" else wrong[0].code
        raise EngineError(f"{spec.parent.label}: {told(wrong)}", code=code)


def load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template is None and (text := template_text(folder, {})):
        tokenizer.chat_template = text
    return tokenizer


def read_config(path: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as problem:
        raise EngineError(f"The base model cannot be loaded: {problem}", code="incomplete_model") from problem


def load_base(path: str, device: Device, *, four_bit: bool, revision: str = "") -> Any:
    """The frozen base: 32 bit on a CPU, bfloat16 on a GPU, or 4 bit."""
    import torch
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": torch.bfloat16 if device.is_cuda else torch.float32}
    if four_bit:
        options |= {"quantization_config": _quantisation(torch.bfloat16), "device_map": {"": device.kind}}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path,
            revision=revision or "main",
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            **options,
        )
    except (OSError, ValueError, KeyError) as problem:
        raise EngineError(f"The base model cannot be loaded: {problem}", code="incomplete_model") from problem
    model.config.use_cache = False
    if four_bit and not device.is_cuda:
        _keep_layout(model)
    return model


def _keep_layout(model: Any) -> None:
    """On some CPUs the first answer in evaluation mode packs 4-bit weights anew, and gradients are then read off the
    new layout as if it were the old one: samples before the first step would spoil all that follow."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _quantisation(compute_dtype: Any) -> Any:
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise EngineError(
            "4-bit loading needs the package bitsandbytes, which this worker does not have.", code="no_quantiser"
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )


def lora_config(recipe: Recipe) -> Any:
    from peft import LoraConfig

    targets: Any = list(recipe.target_modules)
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=ALL_LINEAR if targets == [ALL_LINEAR] else targets,
        task_type="CAUSAL_LM",
    )


def with_lora(model: Any, spec: RunSpec) -> tuple[Any, Any]:
    """What the trainer takes: (model, config for a new adapter), or (model with the parent's adapter, None)."""
    if spec.parent is None:
        _check_targets(model, spec.recipe)
        return model, lora_config(spec.recipe)
    from peft import PeftModel

    try:
        grown = PeftModel.from_pretrained(model, spec.parent.path, is_trainable=True, use_safetensors=True)
    except (RuntimeError, ValueError, OSError) as problem:
        raise EngineError(f"The adapter to go on from does not fit: {problem}", code="parent_mismatch") from problem
    log(f"going on from the adapter {spec.parent.label}")
    return grown, None


def _check_targets(model: Any, recipe: Recipe) -> None:
    if recipe.target_modules == (ALL_LINEAR,):
        return
    names = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    if missing := [name for name in recipe.target_modules if name not in names]:
        raise EngineError(f"This base model has no layer called “{missing[0]}”.", code="unknown_module")
