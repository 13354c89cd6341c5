"""One training run from its spec to its adapter."""

import random
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets_app.engine.renderer import Renderer
from datasets_app.engine.rendering import ChatTokenizer
from projects import faults
from training.domain.recipe import Method
from training.domain.spec import RunSpec
from training.engine import adapter, blame, data, held_out, manifest, memory, model
from training.engine.checkpoints import Checkpoints, Found
from training.engine.data import Prepared, Preparer
from training.engine.events import EngineError, emit, log
from training.engine.gauges import Gauges
from training.engine.group import Group
from training.engine.held_out import HeldOut
from training.engine.manifest import Origin
from training.engine.naming import library_failures, named
from training.engine.ranks import together
from training.engine.samples import Samples
from training.engine.stages import Stages, process_age
from training.engine.versions import packages
from training.engine.watch import StopFlag, die_with_parent

TELL_EVERY = 2000


def main(spec_path: str) -> None:
    spec = RunSpec.load(Path(spec_path))
    stop = StopFlag().install()
    die_with_parent()
    with library_failures():
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


def _run(spec: RunSpec, store: Checkpoints, stop: StopFlag) -> None:
    stages = Stages(started_before=process_age())
    stages.enter("preparing")
    samples = Samples(stop)
    prepared, held = prepare(spec, stop, samples)
    emit("progress", phase="loading", done=0, total=1)
    stages.enter("loading")
    course = Course(spec, store, stop, stages, samples, prepared, held, store.begin(spec.start_at))
    with together(spec.recipe.devices, course.follow) as group:
        course.lead(group)


@dataclass
class Course:
    """What every process of a run knows before it loads the model, and what it does from there."""

    spec: RunSpec
    store: Checkpoints
    stop: StopFlag
    stages: Stages
    samples: Samples
    prepared: Prepared
    held_out: HeldOut | None
    begin: Found | None

    def follow(self, group: Group) -> None:
        """Any process but the first: train along. It is stopped with the others, or by the end of the first."""
        self.stop = StopFlag()
        trainer, progress, device = self._load(group, None)
        self._train(trainer, progress, group)
        group.collect(memory.peak(device.kind))
        progress.echo.ask(lambda: None)
        group.leave()

    def lead(self, group: Group) -> None:
        """The first process, most often the only one: it says how it goes, and writes what comes of it."""
        trainer, progress, device = self._load(group, self.samples)
        seconds = self._train(trainer, progress, group)
        self.stop.look()
        peaks = group.collect(memory.peak(device.kind))
        faults.point("engine.trained")
        resumed_from = self.begin.step if self.begin else 0
        outcome = _outcome(trainer, progress, self.prepared, seconds, resumed_from)
        outcome |= {"memory_bytes": max(peaks), "memory_by_card": peaks}
        if progress.validation is not None and progress.validation.told:
            outcome["validation_loss"] = progress.validation.told[-1]["loss"]
        emit("progress", phase="saving", done=0, total=1)
        made = progress.echo.ask(lambda: self._write(trainer, outcome))
        if not progress.echo.broken:  # else the others wait in a pass that this one has given up, and end with it
            group.leave()
        measured = trainer.meter.told() | self.samples.told()
        if progress.validation is not None:
            measured |= progress.validation.summary()
        measured |= {"stages": self.stages.close(), "capacity": memory.capacity(device.kind)}
        about = {"device": device.kind, "device_name": device.name, "devices": group.size}
        emit(
            "result", **outcome, **measured, **about, data=self.prepared.report(), adapter=made,
            path=self.spec.output_dir,
        )  # fmt: skip

    def _write(self, trainer: Any, outcome: dict[str, Any]) -> dict[str, Any]:
        """The last answers, and the adapter with its proof."""
        self.stages.enter("samples")
        self.samples.take(trainer.model, trainer.state.global_step)
        self.stages.enter("saving")
        return adapter.write(trainer.model, self.spec, outcome)

    def _load(self, group: Group, samples: Samples | None) -> tuple[Any, Any, model.Device]:
        """A trainer at the point where it begins or goes on."""
        group.tell_libraries()
        device = model.choose_device(self.spec.device, group)
        from training.engine import trainers
        from training.engine.meter import Meter
        from training.engine.progress import Progress
        from training.engine.validation import Validation

        if device.is_cuda:
            memory.hold(device.kind, memory.card_limit())
        group.join(device.kind)
        spec, store, begin = self.spec, self.store, self.begin
        progress = Progress(spec.recipe, self.stop, grace_seconds=spec.grace_seconds, group=group)
        progress.samples, progress.gauges = samples, Gauges(device.kind, torch_threads()) if group.is_first else None
        seed(spec.recipe.seed, device)
        trainer = trainers.build(spec, self.prepared, device, store, progress, group)
        self.samples.echo = progress.echo
        if not group.is_first:  # the same weights for all, but to each its own dropout
            seed((spec.recipe.seed + group.rank) % 2**32, device)
        trainer.meter = Meter().attach(trainer)
        if self.held_out is not None:
            progress.validation = Validation(trainer, self.held_out, self.stop, self.stages)
        if begin:
            progress.load(begin.place, begin.step)
            log(f"going on from the checkpoint of step {begin.step}")
        faults.point("engine.loaded")
        self.stop.look()
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
            self.stages.enter("samples")
            progress.echo.ask(lambda: self.samples.take(trainer.model, 0))
            self.stages.enter("loading")
        return trainer, progress, device

    def _train(self, trainer: Any, progress: Any, group: Group) -> float:
        """From here to the last step; returns the seconds."""
        _refer(trainer, self.prepared, self.store, self.stop, self.stages)
        self.stages.enter("training")
        began = time.monotonic()
        _train(trainer, progress, self.prepared, str(self.begin.place) if self.begin else None)
        return time.monotonic() - began - (progress.validation.seconds if progress.validation else 0.0)


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
            batch, elsewhere = progress.broken_batch(), not (trainer.group.is_alone or progress.is_broken_here)
            failure.where = {"elsewhere": True} if elsewhere else blame.where(batch, prepared, progress.step)
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


def prepare(spec: RunSpec, stop: StopFlag, samples: Samples | None = None) -> tuple[Prepared, HeldOut | None]:
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
        return prepared, held_out.prepare(spec, chat, prepared)


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
