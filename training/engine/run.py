"""One training run from its spec to its adapter."""

import random
import time
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

from datasets_app.engine.renderer import Renderer
from datasets_app.engine.rendering import ChatTokenizer
from projects import faults
from training.domain.recipe import Method
from training.domain.spec import RunSpec
from training.engine import data, model
from training.engine.checkpoints import Checkpoints
from training.engine.data import Prepared, Preparer
from training.engine.events import EngineError, Stopped, emit, log
from training.engine.versions import packages
from training.engine.watch import StopFlag, die_with_parent

TELL_EVERY = 2000


def main(spec_path: str) -> None:
    spec = RunSpec.load(Path(spec_path))
    stop = StopFlag().install()
    die_with_parent()
    model.check_base(spec)
    store = Checkpoints(Path(spec.checkpoint_dir), spec.digest)
    store.sweep()
    try:
        _run(spec, store, stop)
    except (MemoryError, RuntimeError) as problem:
        raise _named(problem) from problem
    finally:
        store.discard_staging()


def _run(spec: RunSpec, store: Checkpoints, stop: StopFlag) -> None:
    prepared = prepare(spec, stop)
    emit("progress", phase="loading", done=0, total=1)
    device = model.choose_device(spec.device)
    from training.engine import adapter, trainers
    from training.engine.progress import Progress

    progress = Progress(spec.recipe, stop)
    _seed(spec.recipe.seed, device)
    trainer = trainers.build(spec, prepared, device, store, progress)
    newest = store.newest()
    if newest:
        progress.load(newest[0])
        log(f"going on from the checkpoint of step {newest[1]}")
    faults.point("engine.loaded")
    if stop.asked:
        raise Stopped
    emit(
        "started",
        device=device.kind,
        device_name=device.name,
        total=_total_steps(trainer),
        resumed_from=newest[1] if newest else 0,
    )
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(newest[0]) if newest else None)
    if stop.asked:
        raise Stopped
    faults.point("engine.trained")
    outcome = _outcome(trainer, progress, prepared, time.monotonic() - began, newest[1] if newest else 0)
    emit("progress", phase="saving", done=0, total=1)
    made = adapter.write(trainer.model, spec, outcome)
    emit(
        "result",
        **outcome,
        adapter=made,
        path=spec.output_dir,
        device=device.kind,
        device_name=device.name,
        data=prepared.report(),
    )


def prepare(spec: RunSpec, stop: StopFlag) -> Prepared:
    """Rows to tokens; says on stdout what was left out, cut, or trained on its last turn only."""
    path = Path(spec.data.path)
    total = data.count_rows(path)
    if total != spec.data.rows:
        raise EngineError(
            f"The dataset has {total} rows, but the run was frozen with {spec.data.rows}.", code="data_changed"
        )
    preference = spec.recipe.method == Method.DPO
    with closing(Renderer(Path(spec.base.path))) as renderer:
        preparer = Preparer(ChatTokenizer(Path(spec.base.path), renderer), spec.recipe.max_length, spec.recipe.cut)
        for done, row in enumerate(data.read_rows(path), start=1):
            preparer.add(row, preference=preference)
            if done % TELL_EVERY == 0 or done == total:
                emit("progress", phase="preparing", done=done, total=total)
                if stop.asked:
                    raise Stopped
    prepared = preparer.finish()
    emit("data", **prepared.report())
    return prepared


def _seed(seed: int, device: model.Device) -> None:
    import torch
    from transformers import set_seed

    random.seed(seed)
    set_seed(seed)
    if device.is_cuda:
        # Some kernels have no deterministic twin; they warn and the result differs in the last bits.
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Filling fresh memory with NaN finds bugs, not differences, and costs a pass over everything.
        torch.utils.deterministic.fill_uninitialized_memory = False


def _total_steps(trainer: Any) -> int:
    """The trainer's own count, which knows how rows were packed."""
    per_epoch = max(1, -(-len(trainer.get_train_dataloader()) // trainer.args.gradient_accumulation_steps))
    return max(1, -(-int(per_epoch * trainer.args.num_train_epochs * 1_000_000) // 1_000_000))


def _outcome(trainer: Any, progress: Any, prepared: Prepared, seconds: float, resumed_from: int) -> dict[str, Any]:
    steps = trainer.state.global_step
    share = (steps - resumed_from) / max(steps, 1)
    return {
        "steps": steps,
        "tokens": progress.tokens,
        "trained_tokens": round(prepared.trained_tokens * trainer.args.num_train_epochs),
        "seconds": seconds,
        "tokens_per_second": progress.tokens * share / max(seconds, 1e-6),
        "final_loss": progress.final_loss if progress.final_loss is not None else float("nan"),
        "memory_bytes": _peak_memory(trainer.args.device.type),
        "packages": packages(),
    }


def _peak_memory(device: str) -> int:
    """Peak bytes on the card, or of this process."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _named(problem: BaseException) -> EngineError:
    """A library's failure as one of our taxonomy, with the traceback for whoever wants it."""
    text, trace = str(problem), "".join(traceback.format_exception(problem))
    lowered = text.lower()
    if isinstance(problem, MemoryError) or "out of memory" in lowered or "can't allocate memory" in lowered:
        return EngineError("The device ran out of memory while training.", code="oom", detail=trace)
    if "no space left" in lowered:
        return EngineError("The worker's disk is full.", code="disk_full", detail=trace)
    if "cuda" in lowered or "cublas" in lowered or "nccl" in lowered:
        return EngineError(f"The GPU reported an error: {text.splitlines()[0]}", code="device_error", detail=trace)
    first = text.splitlines()[0] if text else type(problem).__name__
    return EngineError(f"The training library stopped: {first}", code="internal", detail=trace)
