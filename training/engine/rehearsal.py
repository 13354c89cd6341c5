"""python -m training.engine.rehearsal SPEC.json: some real steps of a run, the longest rows first.

Says how long a step takes by its size, how much memory the longest batch needs, and how long a save takes; or, when
it does not fit, which row is too long and what would fit.
"""

import gc
import json
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Before any library reads them: nothing is fetched during a run, and tokenizers do not fork.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"

from safetensors import SafetensorError

from datasets_app.engine.renderer import Renderer
from datasets_app.engine.rendering import ChatTokenizer
from projects.domain import formatting
from training.domain import rehearsal
from training.domain.recipe import Method
from training.domain.spec import RunSpec
from training.engine import blame, data, memory, model, run
from training.engine.checkpoints import Checkpoints
from training.engine.data import Prepared, Preparer
from training.engine.events import EngineError, emit, log, run_child
from training.engine.naming import is_out_of_memory, named
from training.engine.samples import Samples
from training.engine.stages import Stages, process_age
from training.engine.watch import StopFlag, die_with_parent

Example = dict[str, list[int]]
SMALLEST = 16  # tokens of a row that is tried, when longer ones do not fit


def main(spec_path: str) -> None:
    raw = json.loads(Path(spec_path).read_text())
    spec = RunSpec.read(raw["run"])
    spec = replace(spec, recipe=spec.recipe.of_one_card())
    stop = StopFlag().install()
    die_with_parent()
    model.check_base(spec)
    model.check_recipe(spec)
    model.check_parent(spec)
    store = Checkpoints(Path(spec.checkpoint_dir), spec.digest)
    try:
        rehearse(spec, raw, store, stop)
    except (MemoryError, RuntimeError, OSError, SafetensorError) as problem:
        raise named(problem) from problem
    finally:
        store.discard_staging()


def rehearse(spec: RunSpec, raw: dict[str, Any], store: Checkpoints, stop: StopFlag) -> None:
    stages = Stages(started_before=process_age())
    stages.enter("preparing")
    samples = Samples(stop)
    prepared = prepare(spec, raw["rows"], samples)
    emit("progress", phase="loading", done=0, total=1)
    stages.enter("loading")
    device = model.choose_device(spec.device)
    trainer = _build(spec, prepared, device, store, stop)
    steps = min(int(raw["steps"]), run.total_steps(trainer))
    stop.look()
    emit("started", device=device.kind, device_name=device.name, total=steps)
    meter, limit = _set_up(trainer, steps, device, int(raw.get("memory_limit") or 0))
    loaded = memory.peak(device.kind)
    if not _try(trainer, prepared, store, stop, stages):
        tell_misfit(trainer, prepared, limit)
    stop.look()
    stages.enter("samples")
    samples.ask(trainer.model, steps)
    stages.enter("saving")
    longest = _longest(prepared.examples)
    made = _adapter(trainer, spec)
    emit(
        "result",
        **meter.told(),
        **samples.told(),
        stages=stages.close(),
        memory_bytes=max([loaded, *(peak for _, peak in meter.peaks)]),
        capacity=memory.capacity(device.kind),
        limit=limit,
        adapter_bytes=made["size_bytes"],
        epoch_tokens=prepared.tokens,
        reference_tokens=trainer.reference_tokens,
        longest={"row": prepared.rows[longest], "tokens": example_length(prepared.examples[longest])},
        device=device.kind,
        device_name=device.name,
    )


def _adapter(trainer: Any, spec: RunSpec) -> dict[str, Any]:
    """Written as at the end of a run, to see what it takes; nobody will use it."""
    from training.engine import adapter

    return adapter.write(trainer.model, spec, {"steps": trainer.state.global_step, "tokens": 0, "final_loss": 0.0})


def prepare(spec: RunSpec, wanted: list[int], samples: Samples) -> Prepared:
    """The wanted rows as examples, in the wanted order; some may be wanted twice."""
    made: dict[int, Example] = {}
    with closing(Renderer(Path(spec.base.path))) as renderer:
        chat = ChatTokenizer(Path(spec.base.path), renderer)
        preparer = Preparer(chat, spec.recipe.max_length, spec.recipe.cut)
        for row in data.read_rows_at(Path(spec.data.path), wanted):
            before = len(preparer.done.examples)
            preparer.add(row, preference=spec.recipe.method == Method.DPO)
            if len(preparer.done.examples) > before:
                made[row["index"]] = preparer.done.examples[-1]
        samples.choose(chat, spec)
    prepared = preparer.finish()
    numbers = [index for index in wanted if index in made]
    emit("progress", phase="preparing", done=len(numbers), total=len(numbers))
    return replace(prepared, examples=[made[index] for index in numbers], rows=numbers)


def _build(spec: RunSpec, prepared: Prepared, device: Any, store: Checkpoints, stop: StopFlag) -> Any:
    from training.engine import trainers
    from training.engine.progress import Progress

    run.seed(spec.recipe.seed, device)
    quiet = Progress(replace(spec.recipe, checkpoint_steps=0), stop)
    try:
        return trainers.build(spec, prepared, device, store, quiet)
    except (MemoryError, RuntimeError) as problem:
        if not is_out_of_memory(problem):
            raise
        limit = formatting.size(memory.capacity(device.kind))
        emit("misfit", row=None, tokens=None, rows=0, fits_rows=0, fits_tokens=0)
        message = f"The base model alone needs more memory than the {limit} of this device."
        raise EngineError(message, code="will_not_fit") from problem


def _set_up(trainer: Any, steps: int, device: Any, wanted_limit: int) -> tuple[Any, int]:
    """Take the rows as they come, stop after so many steps or so long, and hold the limit; returns meter and limit."""
    from training.engine.enough import Enough
    from training.engine.meter import Meter

    trainer.args.train_sampling_strategy = "sequential"
    trainer.args.max_steps = steps
    trainer.add_callback(Enough(steps))
    meter = Meter(by_step=True).attach(trainer)
    limit = memory.hold(device.kind, wanted_limit)
    return meter, limit


def _try(trainer: Any, prepared: Prepared, store: Checkpoints, stop: StopFlag, stages: Stages) -> bool:
    """Does it fit? The reference's reading comes first, where there is one."""
    if trainer.needs_reference:
        from training.engine.references import References

        stages.enter("reference")
        kept, seconds = References(store), rehearsal.REFERENCE_SECONDS
        if not _fits(lambda: trainer.refer(prepared.examples, kept, stop, seconds=seconds)):
            return False
    stages.enter("training")
    return _fits(trainer.train)


def _fits(work: Callable[[], Any]) -> bool:
    """Do it; False when memory ran out. Whatever the failure held is let go before anything else is tried."""
    try:
        work()
    except (MemoryError, RuntimeError) as problem:
        if not is_out_of_memory(problem):
            raise
        log(f"does not fit: {problem}")
        return False
    return True


def tell_misfit(trainer: Any, prepared: Prepared, limit: int) -> None:
    """Name the row, find out what would fit, and end."""
    batch = trainer.progress.broken_batch()
    known = blame.rows_of(batch, prepared) if batch is not None else []
    row = known[0][0] if known else prepared.rows[_longest(prepared.examples)]
    example = prepared.examples[prepared.rows.index(row)]
    rows, tokens = trainer.args.per_device_train_batch_size, example_length(example)
    trainer.progress.batches = []  # they hold what the failure held
    fits_rows, fits_tokens = Probe(trainer, example).find(rows, tokens)
    found = {"row": row, "tokens": tokens, "rows": rows, "fits_rows": fits_rows, "fits_tokens": fits_tokens}
    emit("misfit", **found, limit=limit)
    raise EngineError(rehearsal.misfit(**found, limit=formatting.size(limit)), code="will_not_fit")


def example_length(example: Example) -> int:
    """Tokens of an example; of a pair the longer sequence."""
    if "input_ids" in example:
        return len(example["input_ids"])
    return len(example["prompt_ids"]) + max(len(example["chosen_ids"]), len(example["rejected_ids"]))


def _longest(examples: list[Example]) -> int:
    return max(range(len(examples)), key=lambda place: example_length(examples[place]))


class Probe:
    """Single steps of other sizes, after one that did not fit."""

    def __init__(self, trainer: Any, example: Example) -> None:
        self.trainer, self.example = trainer, example
        self.release()

    def find(self, rows: int, tokens: int) -> tuple[int, int]:
        """The most rows of this length, and the longest rows of which so many fit; 0 where none was found in time."""
        most = self._largest(1, rows, lambda count: self.fits(count, tokens))
        longest = self._largest(SMALLEST, tokens, lambda length: self.fits(rows, length))
        return most, longest

    def _largest(self, low: int, high: int, fits: Callable[[int], bool]) -> int:
        """The largest value below `high`, which does not fit, that does: by halving the ratio, to within an eighth."""
        best, until = 0, time.monotonic() + rehearsal.PROBE_SECONDS / 2
        while high > low and high - best > max(1, high // 8) and time.monotonic() < until:
            middle = max(low, best + 1, math.isqrt(max(low, best) * high))
            if middle >= high:
                break
            if fits(middle):
                best = middle
            else:
                high = middle
        return best

    def fits(self, rows: int, tokens: int) -> bool:
        """One whole step, the optimiser's included, with so many rows of so many tokens."""
        try:
            batch = self.trainer.data_collator([cut(self.example, tokens) for _ in range(rows)])
            self.trainer.model.train()
            self.trainer.training_step(self.trainer.model, self.trainer._prepare_inputs(batch), None)
            self.trainer.optimizer.step()
            log(f"{rows} rows of {tokens} tokens fit")
            return True
        except (MemoryError, RuntimeError) as problem:
            if not is_out_of_memory(problem):
                raise
            log(f"{rows} rows of {tokens} tokens do not fit: {problem}")
            return False
        finally:
            self.release()

    def release(self) -> None:
        import torch

        self.trainer.model.zero_grad(set_to_none=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def cut(example: Example, tokens: int) -> Example:
    """The example shortened to so many tokens; of a pair both answers give way before the prompt does."""
    if "input_ids" in example:
        kept = {name: ids[:tokens] for name, ids in example.items()}
        return kept | {"seq_lengths": [len(kept["input_ids"])]}
    longer = max(len(example["chosen_ids"]), len(example["rejected_ids"]))
    answer = max(1, min(longer, tokens - 1, tokens - len(example["prompt_ids"])))
    prompt = example["prompt_ids"][: max(1, tokens - answer)]
    # What the reference would say of it changes nothing about its size.
    said: dict[str, Any] = dict.fromkeys(data.REFERENCE, 0.0)
    return said | {
        "prompt_ids": prompt,
        "chosen_ids": example["chosen_ids"][:answer],
        "rejected_ids": example["rejected_ids"][:answer],
    }


if __name__ == "__main__":
    sys.exit(run_child(main, sys.argv, "training.engine.rehearsal SPEC.json"))
