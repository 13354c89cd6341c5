"""The adapter directory: safetensors, a config that names its base exactly, a model card, and nothing else."""

import json
import shutil
from pathlib import Path
from typing import Any

from projects import faults
from training.domain import adapter_config, adapters, model_card, safetensors
from training.domain.fingerprint import TEMPLATE_FILE
from training.domain.recipe import Method
from training.domain.spec import RunSpec
from training.engine import proof, sketch, weights
from training.engine.checkpoints import flush
from training.engine.events import EngineError
from training.engine.hashing import sha256_file

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    TEMPLATE_FILE,
)


def revision_of(spec: RunSpec) -> str:
    """What stands in the config: the hub's commit, or the fingerprint for a base that has none."""
    return spec.base.revision or spec.base.fingerprint


def write(model: Any, spec: RunSpec, outcome: dict[str, Any]) -> dict[str, Any]:
    """Write the finished adapter into the spec's output directory and check it; returns what is known about it."""
    folder = Path(spec.output_dir)
    faults.point("engine.before_adapter")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _check_finite(model)
    # save_embedding_layers=False: asking the library to find out by itself makes it look for the base on the network.
    model.save_pretrained(folder, selected_adapters=["default"], save_embedding_layers=False)
    _rewrite_config(folder / adapters.CONFIG, spec)
    for name in TOKENIZER_FILES:
        if (Path(spec.base.path) / name).exists():
            shutil.copyfile(Path(spec.base.path) / name, folder / name)
    (folder / adapters.CARD).write_text(card(spec, outcome), encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes its files for the owner only
    return check(folder, spec) | {"proof": proof.first(model, Path(spec.base.path))}


def _check_finite(model: Any) -> None:
    import torch

    for name, value in model.named_parameters():
        if value.requires_grad and not bool(torch.isfinite(value).all()):
            raise EngineError(f"The trained weights {name} are not finite.", code="adapter_invalid")


def _rewrite_config(path: Path, spec: RunSpec) -> None:
    """No path of this machine, an exact base, and lists in an order that does not change from run to run."""
    raw = json.loads(path.read_text())
    raw |= {"base_model_name_or_path": spec.base.name, "revision": revision_of(spec), "inference_mode": True}
    raw["target_modules"] = sorted(raw["target_modules"])
    path.write_text(json.dumps(raw, indent=2, sort_keys=True) + "\n")


def check(folder: Path, spec: RunSpec) -> dict[str, Any]:
    """Read the directory back as a stranger would and refuse it if anything is not as it should be."""
    adapters.check_names(path.name for path in folder.iterdir())
    config = json.loads((folder / adapters.CONFIG).read_text())
    adapters.check_config(config, base=spec.base.name, revision=revision_of(spec))
    header = weights.header_of(folder / adapters.WEIGHTS, most=weights.ADAPTER_HEADER)
    adapters.check_tensors(header, config["r"])
    findings = weights.adapter_findings(folder / adapters.WEIGHTS, config, None)
    findings += adapter_config.about_serving(config["r"])
    files = manifest_of(folder)
    faults.point("engine.adapter_written")
    return {
        "files": files,
        "rank": config["r"],
        "alpha": config["lora_alpha"],
        "parameters": safetensors.parameters(header),
        "size_bytes": sum(entry["size"] for entry in files.values()),
        "findings": [found.as_dict() for found in findings],
        "anatomy": sketch.of_file(folder / adapters.WEIGHTS, config),
    }


def manifest_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and sha256 of each file, also written beside them; all of it is on the disk when this returns."""
    files = {
        path.name: {"sha256": sha256_file(path), "size": path.stat().st_size}
        for path in sorted(folder.iterdir())
        if path.name != adapters.MANIFEST
    }
    (folder / adapters.MANIFEST).write_text(json.dumps({"files": files}, indent=1, sort_keys=True))
    for path in [*folder.iterdir(), folder]:
        flush(path)
    return files


def card(spec: RunSpec, outcome: dict[str, Any]) -> str:
    """A model card as the Hugging Face hub reads it: YAML front matter, then plain words."""
    recipe = spec.recipe
    front = model_card.front_matter(
        base=spec.base.name,
        relation="adapter",
        library="peft",
        tags=["lora", "trl", str(recipe.method)],
        licence=spec.base.licence,
        datasets=[model_card.dataset_name(spec.data.label)],
    )
    method = "direct preference optimisation" if recipe.method == Method.DPO else "supervised fine-tuning"
    facts = {
        "Base model": f"`{spec.base.name}`",
        "Base revision": f"`{revision_of(spec)}`",
        "Base fingerprint": f"`{spec.base.fingerprint}`",
        "Dataset": f"{spec.data.label}, {spec.data.rows} rows, `{spec.data.content_hash}`",
        "Parent adapter": f"{spec.parent.label}, `{spec.parent.digest}`" if spec.parent else "none",
        "Method": f"{method}, LoRA rank {recipe.rank}, alpha {recipe.alpha}",
        "Training": f"{outcome['steps']} steps, {outcome['tokens']} tokens, seed {recipe.seed}",
        "Learning rate": f"{recipe.learning_rate:g}, {recipe.scheduler}",
        "Final loss": f"{outcome['final_loss']:.4f}",
        **_validation(spec, outcome),
        "Spec": f"`{spec.digest}`",
        "Made with": ", ".join(f"{name} {version}" for name, version in sorted(spec.packages.items())),
    }
    words = "A LoRA adapter. Use it with exactly the base model named here."
    return model_card.render(front, spec.label, words, facts)


def _validation(spec: RunSpec, outcome: dict[str, Any]) -> dict[str, str]:
    """What it came to on rows that it has not learnt from, where there were some."""
    if spec.validation is None or outcome.get("validation_loss") is None:
        return {}
    held_out = spec.validation
    return {"Validation loss": f"{outcome['validation_loss']:.4f} on {held_out.label}, `{held_out.content_hash}`"}
