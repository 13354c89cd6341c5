"""TRL's trainers, fed with our tokens and made durable: every checkpoint they write is committed as a whole."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets import Dataset
from safetensors import SafetensorError
from transformers import PrinterCallback, Trainer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from training.domain import adapters
from training.domain.pace import Pace, decide
from training.domain.recipe import Method, Recipe
from training.domain.spec import RunSpec
from training.engine import checkpoints, disk, sharding, weights
from training.engine import model as models
from training.engine.checkpoints import Checkpoints
from training.engine.data import Prepared, length
from training.engine.events import emit, log
from training.engine.fast import trainer as fast
from training.engine.fast.model import why_not_shape
from training.engine.fast.preference import FastPreference
from training.engine.group import ALONE, Group
from training.engine.progress import Progress
from training.engine.sharding import Echo, Sharded
from training.engine.shares import Together


class Durable:
    """Mixed into a trainer: its checkpoints go through the store, and no disk ends the run."""

    store: Checkpoints
    progress: Progress
    group: Group
    numbers: list[bytes]  # the random numbers of every process, while a checkpoint is written

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.progress.begin_batch(inputs)
        loss = super().training_step(model, inputs, *args, **kwargs)  # type: ignore[misc]
        self.progress.end_batch(loss)
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step, clock = self.state.global_step, self.progress.stop_time  # type: ignore[attr-defined]
        self.progress.rewind()
        self.numbers = self.group.collect(self._random_numbers())
        if not self.group.is_first:
            self.progress.saved(step)
            return
        try:
            with clock.saving():
                saved = self._write_checkpoint(model, trial, step)
        except (OSError, RuntimeError, SafetensorError) as problem:
            self.store.sweep()
            found = disk.trouble(problem, self.store.folder)
            if found is None:
                raise
            self.progress.not_saved()
            emit("warning", code=found[0], message=found[1], step=step)
            return
        self.progress.saved(step)
        size = checkpoints.size_of(saved.place)
        facts = {"bytes": size, "seconds": clock.longest_save, "kept": self.store.steps()}
        emit("checkpoint", step=step, path=str(saved.place), sha256=saved.sha256, **facts)
        self.progress.tell_stop_time()

    def _write_checkpoint(self, model: Any, trial: Any, step: int) -> checkpoints.Saved:
        if not self.store.room_for_another(self.progress.stop_time.checkpoint_bytes):
            raise OSError(errno.ENOSPC, "Too little space for another checkpoint.")
        # TRL would also write a model card here; ours is written once, at the end.
        Trainer._save_checkpoint(self, model, trial)  # type: ignore[arg-type]
        folder = self.store.staging / f"checkpoint-{step}"
        for rank, content in enumerate(self.numbers[1:], start=1):
            (folder / f"rng_state_{rank}.pth").write_bytes(content)
        self.progress.save(folder)
        return self.store.commit(folder, step)

    def _random_numbers(self) -> bytes:
        """Where the random numbers of this process stand, as the trainer writes and reads it: for the first to write,
        since all of a checkpoint is written by one or not at all."""
        if self.group.is_first:
            return b""
        with TemporaryDirectory() as folder:
            self._save_rng_state(folder)  # type: ignore[attr-defined]
            return next(Path(folder).iterdir()).read_bytes()


class DurableSFT(Durable, Sharded, Together, fast.FastLoss, SFTTrainer):
    """SFT on rows that are already tokens with labels."""


class DurableDPO(Durable, Sharded, Together, FastPreference, DPOTrainer):
    """DPO on rows that are already tokens: what was counted before the start is what is trained on."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset


def build(
    spec: RunSpec, prepared: Prepared, device: models.Device, store: Checkpoints, progress: Progress,
    group: Group = ALONE,
) -> Any:  # fmt: skip
    """A trainer that is ready to train."""
    pace = _pace(spec, device, prepared, group)
    if pace.sharded:
        model = sharding.load(spec.base.path, device, group)
        progress.echo = Echo(group, model)
    else:
        model = models.load_base(spec.base.path, device, four_bit=spec.recipe.four_bit, revision=spec.base.revision)
        progress.echo = Echo(group)
    model, lora = models.with_lora(model, spec)
    kind, config = (DurableDPO, _dpo) if spec.recipe.method == Method.DPO else (DurableSFT, _sft)
    with _quiet_about_own_choices():
        trainer = kind(
            model=model,
            args=config(spec.recipe, device, store.staging, pace),
            processing_class=models.load_tokenizer(Path(spec.base.path)),
            train_dataset=Dataset.from_list(prepared.examples),
            peft_config=lora,
            callbacks=[progress],
        )
    if spec.recipe.four_bit:
        _in_32_bits(trainer.model, spec)
    trainer.remove_callback(PrinterCallback)
    trainer.store, trainer.progress = store, progress
    trainer.collate, trainer.is_sharded = trainer.data_collator, pace.sharded
    trainer.pass_tokens = pace.tokens or _batch_tokens(spec.recipe, pace, prepared)
    progress.stop_time.checkpoint_bytes = _checkpoint_bytes(trainer.model)
    if pace.path == "fast":
        trainer.take_over(pace, device.kind)
    trainer.join(group)
    return trainer


def _in_32_bits(model: Any, spec: RunSpec) -> None:
    """TRL rounds the adapter of a 4-bit base to 16 bits, and a checkpoint would be read back in 32: a resumed run would
    not be the same. Ours has 32 bits everywhere; of a parent's weights nothing is lost on the way."""
    for value in model.parameters():
        if value.requires_grad:
            value.data = value.data.float()
    if spec.parent is not None:
        from peft import set_peft_model_state_dict
        from safetensors.torch import load_file

        set_peft_model_state_dict(model, load_file(Path(spec.parent.path) / adapters.WEIGHTS))


def _checkpoint_bytes(model: Any) -> int:
    """What a checkpoint takes: the trained weights, and the two moments that Adam keeps of each in 32 bits."""
    return sum(value.numel() * (value.element_size() + 8) for value in model.parameters() if value.requires_grad)


def _pace(spec: RunSpec, device: models.Device, prepared: Prepared, group: Group) -> Pace:
    """Decide how to go, and say it: once for the page, once for the log. All cards of a run go the same way."""
    recipe, config = spec.recipe, models.read_config(spec.base.path)
    longest = max(map(length, prepared.examples), default=0)
    sizes = fast.widths(config, weights.parameters(Path(spec.base.path), tied=config.tie_word_embeddings))
    card = fast.card(device.kind)
    card = replace(card, memory=group.least(card.memory))
    obstacle = why_not_shape(config, config.model_type, recipe)
    pace = decide(recipe, card, sizes, recipe.max_length if recipe.packing else longest, obstacle)
    emit("pace", **pace.as_dict())
    for reason in pace.reasons:
        log(reason)
    return pace


def _batch_tokens(recipe: Recipe, pace: Pace, prepared: Prepared) -> int:
    """Of a batch of the library's, padding included, on each card: so many are known to fit."""
    longest = recipe.max_length if recipe.packing else max(map(length, prepared.examples), default=0)
    return max(1, pace.rows // recipe.devices) * longest


@contextmanager
def _quiet_about_own_choices() -> Iterator[None]:
    """TRL's notes on options that we set on purpose say nothing to whoever reads the log."""
    import logging

    logger = logging.getLogger("trl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _common(recipe: Recipe, device: models.Device, staging: Path, pace: Pace) -> dict[str, Any]:
    return {
        "output_dir": str(staging),
        "num_train_epochs": recipe.epochs,
        "per_device_train_batch_size": pace.rows,
        "gradient_accumulation_steps": pace.accumulation,
        "train_sampling_strategy": "group_by_length" if pace.by_length else "random",
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.scheduler,
        "warmup_steps": recipe.warmup,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        # The callback decides when to save; the trainer itself never does.
        "save_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": device.is_cuda,
        "use_cpu": not device.is_cuda,
        # On several cards: tokens are counted over all of them, and gradients are added up in the same order always,
        # which they are not when the library sorts them anew after the first step.
        "average_tokens_across_devices": True,
        "ddp_find_unused_parameters": True,
        "ddp_broadcast_buffers": False,
        "activation_checkpointing": pace.recompute and pace.path == "library",
        "dataloader_pin_memory": device.is_cuda,
        "dataset_num_proc": None,
        "trust_remote_code": False,
    }


# What the same argument was called in releases that GPU hosts still run; None where it did not exist and need not.
FORMER_NAMES = {"activation_checkpointing": "gradient_checkpointing", "trust_remote_code": None}


def named_for(config: type, wanted: dict[str, Any]) -> dict[str, Any]:
    """The arguments under the names that the installed library has for them."""
    there = {field.name for field in fields(config)}
    given: dict[str, Any] = {}
    for name, value in wanted.items():
        called = name if name in there else FORMER_NAMES.get(name, name)
        if called is not None:
            given[called] = value
    return given


def _sft(recipe: Recipe, device: models.Device, staging: Path, pace: Pace) -> SFTConfig:
    return SFTConfig(
        **named_for(SFTConfig, _common(recipe, device, staging, pace)),
        # Rows are already within the limit; only packing needs to know it.
        max_length=recipe.max_length if recipe.packing else None,
        packing=recipe.packing,
        packing_strategy="bfd",
        padding_free=pace.path == "fast",
        completion_only_loss=False,  # our labels already say what is trained
    )


def _dpo(recipe: Recipe, device: models.Device, staging: Path, pace: Pace) -> DPOConfig:
    wanted = named_for(DPOConfig, _common(recipe, device, staging, pace))
    return DPOConfig(**wanted, max_length=None, beta=recipe.beta)
