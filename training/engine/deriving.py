"""python -m training.engine.deriving SPEC.json: a model of base and adapter, merged or quantised, and the proof of it.

Weights are added in 32 bit and written file by file; files that are whole survive the attempt. Then the model is read
back beside base and adapter, loaded as anybody would load it, and asked the probes.
"""

import gc
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from training.domain import adapter_config, adapters, derived, faithful, fingerprint, model_card
from training.domain.derived import Kind
from training.domain.proofs import Observation
from training.engine import derived_check, derived_weights, hashing, proof, sketch, weights
from training.engine import model as models
from training.engine.checkpoints import flush
from training.engine.derive_spec import DeriveSpec
from training.engine.events import EXIT_STOPPED, EngineError, emit, run_child
from training.engine.merging import Merged
from training.engine.versions import packages
from training.engine.watch import die_with_parent

LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "NOTICE", "NOTICE.txt", "USE_POLICY.md")
MOST_TEXT = 1_000_000


def stop(*_: object) -> None:
    """Weight files that are whole stay where they are; the next attempt takes them."""
    os._exit(EXIT_STOPPED)


def main(path: str) -> None:
    signal.signal(signal.SIGTERM, stop)
    die_with_parent()
    started = time.perf_counter()
    spec = DeriveSpec.read(Path(path))
    emit("progress", phase="checking", done=0, total=0)
    config = check_sources(spec)
    device = models.choose_device(spec.device)
    emit("started", device=device.kind, device_name=device.name, total=0)
    with Merged(Path(spec.base), Path(spec.adapter), config, device.kind) as source:
        result = make(spec, source, device)
    result["seconds"] = round(time.perf_counter() - started, 3)
    result["packages"] = packages()
    emit("result", device=device.kind, **result)


def check_sources(spec: DeriveSpec) -> dict[str, Any]:
    """Base and adapter must be, byte for byte, those that are meant. Returns the adapter's config."""
    base, adapter = Path(spec.base), Path(spec.adapter)
    if not base.is_dir():
        raise EngineError("The base model's directory is gone.", code="base_missing")
    if changed := hashing.differences(base, spec.parts, full=True):
        raise EngineError(
            f"The base model “{spec.base_name}” on disk is not the version that was registered: "
            f"{', '.join(changed[:5])} changed.",
            code="base_changed",
        )
    listed = spec.manifest.get("files") or {}
    adapters.check_names(listed)
    for name, entry in listed.items():
        if not (adapter / name).is_file() or hashing.sha256_file(adapter / name) != entry["sha256"]:
            raise EngineError(f"{name} of the adapter is not the file that was stored.", code="artefact_damaged")
    config, wrong = adapter_config.read((adapter / adapters.CONFIG).read_bytes())
    wrong = wrong or weights.adapter_findings(adapter / adapters.WEIGHTS, config, weights.base_shapes(base))
    if refused := [one for one in wrong if one.refuses]:
        raise EngineError(f"{spec.adapter_name}: {refused[0].text}", code=refused[0].code)
    if weights.read_config(base / "config.json").get("quantization_config"):
        raise EngineError(
            "The base itself is quantised, so nothing can be added to it. Register the version that it was quantised "
            "from.",
            code="base_quantised",
        )
    return config


def make(spec: DeriveSpec, source: Merged, device: models.Device) -> dict[str, Any]:
    kind, out = spec.read_kind, Path(spec.out_dir)
    check_kind(source, kind)
    if spec.store_dir and os.stat(spec.store_dir).st_dev != _device_of(Path(spec.parts_dir)):
        derived_weights.check_room(Path(spec.store_dir), source.size(kind))
    parts = derived_weights.Parts(
        Path(spec.parts_dir),
        derived_weights.identity(base=spec.fingerprint, adapter=spec.adapter_digest, kind=kind, most=spec.shard_bytes),
    )
    files = derived_weights.write(source, kind, parts, _telling("weights"), most=spec.shard_bytes)
    assemble(spec, source, parts, files, out)
    figures, hashes = derived_check.check_weights(source, out, kind, tell=_telling("comparing"))
    emit("progress", phase="proving", done=0, total=0)
    pair = observed(spec, device)
    model = derived_check.load(out, device)
    told = derived_check.check_effect(model, pair, {}, kind, derived_check.common_type(source))
    parameters = sum(one.numel() for one in model.parameters())
    del model
    all_files = files | small_files(out, files)
    return {
        "files": all_files,
        "size_bytes": sum(entry["size"] for entry in all_files.values()),
        "facts": {
            "dtype": derived_check.common_type(source),
            "parameters": parameters,
            "shards": len(files),
            "tensors": hashes,
            "figures": faithful.summary(figures, kind),
        },
        "proof": told,
    }


def check_kind(source: Merged, kind: Kind) -> None:
    """There must be layers that can be packed, and a loader that knows them as linear ones."""
    if not kind.bits:
        return
    if source.transposed or not any(derived.is_quantised(name, shape, kind) for name, shape in source.shapes.items()):
        raise EngineError(
            f"This base has no linear layers that {kind.label} can pack. Use the merged model.", code="not_quantisable"
        )


def _device_of(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return os.stat(folder).st_dev


def _telling(phase: str) -> Any:
    last = [0.0]

    def tell(done: int, total: int) -> None:
        """Twice a second at most."""
        now = time.monotonic()
        if now - last[0] >= 0.5 or done >= total:
            last[0] = now
            emit("progress", phase=phase, done=done, total=total)

    return tell


def assemble(spec: DeriveSpec, source: Merged, parts: derived_weights.Parts, files: dict[str, Any], out: Path) -> None:
    """Weights, config, tokenizer, template, licence and card in one folder; weights are the same files, not copies."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in files:
        try:
            os.link(parts.folder / name, out / name)
        except OSError:
            shutil.copyfile(parts.folder / name, out / name)
    base = Path(spec.base)
    for path in sorted(base.iterdir()):
        part = fingerprint.role(path.name)
        is_text = path.name in LICENCES and path.is_file() and path.stat().st_size <= MOST_TEXT
        if part in {"tokenizer", "generation_config", "chat_template"} or is_text:
            shutil.copyfile(path, out / path.name)
    derived_weights.write_index(out, weights.base_headers(out))
    _write_config(spec.read_kind, base, out, source)
    (out / adapters.CARD).write_text(card(spec, source), encoding="utf-8")
    for path in [*out.iterdir(), out]:
        flush(path)


def _write_config(kind: Kind, base: Path, out: Path, source: Merged) -> None:
    """The base's own, without the place it came from, and with what a loader must know of packed layers."""
    config = weights.read_config(base / "config.json")
    config.pop("_name_or_path", None)
    if kind.bits:
        config["quantization_config"] = derived.quantisation_config(kind, derived.left_alone(source.shapes, kind))
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def card(spec: DeriveSpec, source: Merged) -> str:
    kind, told = spec.read_kind, spec.card
    front = model_card.front_matter(
        base=spec.base_name,
        relation=kind.relation,
        library="transformers",
        tags=["lora", "merged", *(["compressed-tensors", kind.value] if kind.bits else [])],
        licence=told.get("licence", ""),
        datasets=told.get("datasets", []),
    )
    packed = f", then weights of linear layers in {kind.bits} bits" if kind.bits else ""
    scales = f" with a scale for every {kind.group} inputs" if kind.group else " with a scale for every row"
    facts = {
        "Base model": f"`{spec.base_name}`",
        "Base revision": f"`{spec.revision}`",
        "Base fingerprint": f"`{spec.fingerprint}`",
        "Adapter": f"{spec.adapter_name}, `{spec.adapter_digest}`",
        "Made by": f"adding the adapter in 32 bit{packed}{scales if kind.bits else ''}",
        "Numbers": derived_check.common_type(source),
        "Licence of the base": told.get("licence", ""),
        "Made with": ", ".join(f"{name} {version}" for name, version in sorted(packages().items())),
    }
    words = (
        "The base model with the adapter added to its weights. Whether it is as good as the adapter on its base is "
        "said where it was made, once it has been evaluated."
    )
    return model_card.render(front, spec.name, words, facts)


def observed(spec: DeriveSpec, device: models.Device) -> Observation:
    """The adapter on its base, loaded and proved, and what both say of the probes."""
    from peft import PeftModel

    stored = dict(spec.proof)
    if not stored.get("weights"):
        config = json.loads((Path(spec.adapter) / adapters.CONFIG).read_text())
        stored["weights"] = sketch.of_file(Path(spec.adapter) / adapters.WEIGHTS, config)
        emit("anatomy", anatomy=stored["weights"])
    plain = models.load_base(spec.base, device, four_bit=False).to(device.kind)
    model = PeftModel.from_pretrained(plain, spec.adapter, is_trainable=False, use_safetensors=True).eval()
    proof.check(model, stored, Path(spec.base))
    asked = next(iter((stored.get("observed") or {}).values()), None)
    found = (
        proof.observe(model, asked["ids"], asked["tops"])
        if asked
        else proof.observe(model, proof.probes(Path(spec.base)))
    )
    del model, plain
    gc.collect()
    return found


def small_files(out: Path, weights_of: dict[str, Any]) -> dict[str, Any]:
    """All but the weights, which were hashed when they were written."""
    return {
        path.name: {"sha256": hashing.sha256_file(path), "size": path.stat().st_size}
        for path in sorted(out.iterdir())
        if path.name not in weights_of
    }


if __name__ == "__main__":
    sys.exit(run_child(main, sys.argv, "training.engine.deriving SPEC.json"))
