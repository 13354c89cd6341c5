"""One training run from its spec to its adapter."""

import random
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from datasets_app.engine.renderer import Renderer
from datasets_app.engine.rendering import ChatTokenizer
from projects import faults
from training.domain.recipe import Method
from training.domain.spec import RunSpec
from training.engine import blame, data, manifest, memory, model
from training.engine.checkpoints import Checkpoints, Found
from training.engine.data import Prepared, Preparer
from training.engine.events import EngineError, emit, log
from training.engine.gauges import Gauges
from training.engine.manifest import Origin
from training.engine.naming import named
from training.engine.samples import Samples
from training.engine.stages import Stages, process_age
from training.engine.versions import packages
from training.engine.watch import StopFlag, die_with_parent

TELL_EVERY = 2000


def main(spec_path: str) -> None:
    spec = RunSpec.load(Path(spec_path))
    stop = StopFlag().install()
    die_with_parent()
    try:
        model.check_base(spec)
        model.check_recipe(spec)
        model.check_parent(spec)
        known = {int(step): sha256 for step, sha256 in spec.checkpoints.items()}
        store = Checkpoints(Path(spec.checkpoint_dir), Origin.of(spec), fence=spec.fence, known=known)
        store.sweep()
        store.take_over()
        try:
            _run(spec, store, stop)
        finally:
            store.discard_staging()
    except (MemoryError, RuntimeError, OSError, SafetensorError) as problem:
        raise named(problem) from problem


def _run(spec: RunSpec, store: Checkpoints, stop: StopFlag) -> None:
    stages = Stages(started_before=process_age())
    stages.enter("preparing")
    samples = Samples(stop)
    prepared = prepare(spec, stop, samples)
    emit("progress", phase="loading", done=0, total=1)
    stages.enter("loading")
    begin = store.begin(spec.start_at)
    device = model.choose_device(spec.device)
    from training.engine import adapter, trainers
    from training.engine.meter import Meter
    from training.engine.progress import Progress

    progress = Progress(spec.recipe, stop, grace_seconds=spec.grace_seconds)
    progress.samples, progress.gauges = samples, Gauges(device.kind, torch_threads())
    seed(spec.recipe.seed, device)
    trainer = trainers.build(spec, prepared, device, store, progress)
    meter = Meter().attach(trainer)
    if begin:
        progress.load(begin.place, begin.step)
        log(f"going on from the checkpoint of step {begin.step}")
    faults.point("engine.loaded")
    stop.look()
    emit(
        "started",
        device=device.kind,
        device_name=device.name,
        total=total_steps(trainer),
        resumed_from=begin.step if begin else 0,
        refused={str(step): why for step, why in store.refused.items()},
    )
    progress.say_again(total_steps(trainer))
    _warn_about_start(store, begin, spec)
    progress.tell_stop_time()
    if not begin:
        stages.enter("samples")
        samples.take(trainer.model, 0)
        stages.enter("loading")
    _refer(trainer, prepared, store, stop, stages)
    stages.enter("training")
    began = time.monotonic()
    _train(trainer, progress, prepared, str(begin.place) if begin else None)
    stop.look()
    faults.point("engine.trained")
    outcome = _outcome(trainer, progress, prepared, time.monotonic() - began, begin.step if begin else 0)
    emit("progress", phase="saving", done=0, total=1)
    stages.enter("samples")
    samples.take(trainer.model, trainer.state.global_step)
    stages.enter("saving")
    made = adapter.write(trainer.model, spec, outcome)
    measured = meter.told() | samples.told() | {"stages": stages.close(), "capacity": memory.capacity(device.kind)}
    about = {"device": device.kind, "device_name": device.name, "data": prepared.report()}
    emit("result", **outcome, **measured, **about, adapter=made, path=spec.output_dir)


def _refer(trainer: Any, prepared: Prepared, store: Checkpoints, stop: StopFlag, stages: Stages) -> None:
    """What the reference says of all answers, where the trainer wants it beforehand."""
    if not trainer.needs_reference:
        return
    from training.engine.references import References

    stages.enter("reference")
    trainer.refer(prepared.examples, References(store), stop)
    tokens = trainer.reference_tokens
    log(f"the reference has read {tokens:,} tokens" if tokens else "the reference was kept by an earlier attempt")


def _train(trainer: Any, progress: Any, prepared: Prepared, checkpoint: str | None) -> None:
    """Train to the end or until told to stop; what breaks on the way is told with its step and rows."""
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    except (MemoryError, RuntimeError) as problem:
        raise named(problem, step=progress.step + 1, batch=progress.broken_batch(), prepared=prepared) from problem
    except EngineError as failure:
        if failure.code == "nan_loss":
            failure.where = blame.where(progress.broken_batch(), prepared, progress.step)
        raise


def _warn_about_start(store: Checkpoints, begin: Found | None, spec: RunSpec) -> None:
    """A start that is not what one would expect is told, not hidden in the log."""
    if store.refused and begin is None and spec.start_at is None:
        emit("warning", code="no_checkpoint", message="No checkpoint is whole, so the run starts from the beginning.")
    if begin and (other := manifest.otherwise(begin.place, store.origin)):
        text = f"The checkpoint was saved with other versions ({other}); the last digits may differ from here on."
        emit("warning", code="other_versions", message=text)


def torch_threads() -> int:
    import torch

    return int(torch.get_num_threads())


def prepare(spec: RunSpec, stop: StopFlag, samples: Samples | None = None) -> Prepared:
    """Rows to tokens; says on stdout what was left out, cut, or trained on its last turn only."""
    path = Path(spec.data.path)
    total = data.count_rows(path)
    if total != spec.data.rows:
        raise EngineError(
            f"The dataset has {total} rows, but the run was frozen with {spec.data.rows}.", code="data_changed"
        )
    preference = spec.recipe.method == Method.DPO
    with closing(Renderer(Path(spec.base.path))) as renderer:
        chat = ChatTokenizer(Path(spec.base.path), renderer)
        preparer = Preparer(chat, spec.recipe.max_length, spec.recipe.cut)
        for done, row in enumerate(data.read_rows(path), start=1):
            preparer.add(row, preference=preference)
            if done % TELL_EVERY == 0 or done == total:
                emit("progress", phase="preparing", done=done, total=total)
                stop.look()
        if samples is not None:
            samples.choose(chat, spec)
    prepared = preparer.finish()
    emit("data", **prepared.report())
    return prepared


def seed(number: int, device: model.Device) -> None:
    import torch
    from transformers import set_seed

    random.seed(number)
    set_seed(number)
    if device.is_cuda:
        # Some kernels have no deterministic twin; they warn and the result differs in the last bits.
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Filling fresh memory with NaN finds bugs, not differences, and costs a pass over everything.
        torch.utils.deterministic.fill_uninitialized_memory = False


def total_steps(trainer: Any) -> int:
    """The trainer's own count, which knows how rows were packed."""
    per_epoch = max(1, -(-len(trainer.get_train_dataloader()) // trainer.args.gradient_accumulation_steps))
    return max(1, -(-int(per_epoch * trainer.args.num_train_epochs * 1_000_000) // 1_000_000))


def _outcome(trainer: Any, progress: Any, prepared: Prepared, seconds: float, resumed_from: int) -> dict[str, Any]:
    steps = trainer.state.global_step
    share = (steps - resumed_from) / max(steps, 1)
    return {
        "steps": steps,
        "tokens": progress.tokens,
        "reference_tokens": trainer.reference_tokens,
        "trained_tokens": round(prepared.trained_tokens * trainer.args.num_train_epochs),
        "seconds": seconds,
        "tokens_per_second": progress.tokens * share / max(seconds, 1e-6),
        "final_loss": progress.final_loss if progress.final_loss is not None else float("nan"),
        "memory_bytes": memory.peak(trainer.args.device.type),
        "packages": packages(),
    }
