"""TRL: `trl sft|dpo --config FILE`. The method stands in the command; the chat template is the tokenizer's own."""

from collections.abc import Mapping
from typing import Any

from training.domain.dialects import meanings, rules
from training.domain.dialects.base import About, Dialect, Lost, looks, lost_in_all, number
from training.domain.dialects.rules import Rule, Work, fixed, named, never, no_effect, only, same, table
from training.domain.recipe import ALL_LINEAR, Cut, Method, Recipe

DPO_ONLY = frozenset(
    {
        "beta",
        "precompute_ref_log_probs",
        "precompute_ref_batch_size",
        "sync_ref_model",
        "ref_model_mixup_alpha",
        "ref_model_sync_steps",
        "ld_alpha",
        "f_divergence_type",
        "f_alpha_divergence_coef",
        "use_weighting",
        "discopop_tau",
        "loss_weights",
        "max_prompt_length",
    }
)
DATA = named("data", "The data is a version of a dataset here. Choose it in the form.")
CHECKPOINTING = rules.switch(
    "recompute", "always", "never",
    text_on="Activations are computed again: less memory, a third more time.",
    text_off="Activations are kept.",
)  # fmt: skip
TEXT_FIELD = no_effect("Columns are mapped when the file is brought in, and shown on its page.")
LOSSES = {"sft": ("nll",), "dpo": ("sigmoid", ["sigmoid"])}


def truncation(work: Work, key: str, value: Any) -> None:
    if value == "keep_start":
        work.translate("cut", key, Cut.CUT.value, "Rows that are too long lose their end, answers too, as TRL does it.")
    else:
        work.refuse(key, value, "Only the end of a row can be cut here. Leave such rows out, or raise max_length.")


def loss(work: Work, key: str, value: Any) -> None:
    method = trl_method(work)
    if value in LOSSES[method]:
        work.agree(key, value, "The loss that is used here.")
    else:
        usual = "nll" if method == Method.SFT else "sigmoid"
        work.refuse(key, value, f"Only the usual loss is trained with here: {usual}.", "other_loss", leave_out=False)


def trl_method(work: Work) -> str:
    """TRL says it in the command; a file gives itself away by settings that only DPO has."""
    losses = work.given.get("loss_type")
    is_dpo = bool(DPO_ONLY & set(work.given)) or losses in ("sigmoid", ["sigmoid"])
    return (Method.DPO if is_dpo else Method.SFT).value


def test_split(work: Work, key: str, value: Any) -> None:
    """A split of the data that TRL reads only where eval_strategy asks for it."""
    asks = work.given.get("eval_strategy", "no") not in ("no", False, None)
    if asks and isinstance(value, str) and isinstance(work.given.get("dataset_name"), str):
        meanings.VALIDATION(work, key, f"{work.given['dataset_name']} {value}")
    else:
        work.ignore(key, value, "It is read only where eval_strategy asks for it.")


RULES: dict[str, Rule] = {
    **meanings.TRAINER,
    "model_name_or_path": named("base", "The base is one of those registered here."),
    "model_revision": named("revision", "A base here is one exact commit."),
    "num_train_epochs": same("epochs"),
    "per_device_train_batch_size": same("batch_size"),
    "gradient_accumulation_steps": same("accumulation"),
    "max_length": same("max_length"),
    "lr_scheduler_type": rules.scheduler,
    "packing": same("packing"),
    "beta": same("beta"),
    "lora_r": same("rank"),
    "lora_alpha": same("alpha"),
    "lora_dropout": same("dropout"),
    "lora_target_modules": rules.modules((ALL_LINEAR,)),
    "load_in_4bit": same("four_bit"),
    "truncation_mode": truncation,
    "loss_type": loss,
    "gradient_checkpointing": CHECKPOINTING,
    "activation_checkpointing": CHECKPOINTING,
    "use_peft": only(
        (True,), "LoRA, as always here.",
        "This trains all weights of the base. Only LoRA adapters are trained here: write use_peft: true.",
        code="full_fine_tuning",
    ),
    "completion_only_loss": fixed(
        (True, None), "Only answers are trained on, as always here.",
        "Only answers are trained on here, never prompts. Bring plain text as data to train on all of it.",
    ),
    "assistant_only_loss": fixed((True,), "Only answers are trained on, as always here.",
                                 "Only answers are trained on here."),
    "packing_strategy": fixed(
        ("bfd",), "Rows are packed whole, as always here.",
        "Rows are packed whole here (bfd), so none is torn apart.",
    ),
    "lora_task_type": only(("CAUSAL_LM",), "A language model.", "Only language models are trained here.",
                           code="other_task"),
    "bnb_4bit_quant_type": fixed(("nf4",), "NF4, as always here.", "4-bit bases are loaded as NF4 here."),
    "load_in_8bit": meanings.EIGHT_BIT,
    "use_rslora": meanings.RSLORA,
    "use_dora": meanings.DORA,
    "lora_modules_to_save": meanings.LAYERS,
    "lora_target_parameters": meanings.LAYERS,
    "chat_template_path": meanings.CHAT_FILE,
    "eos_token": never(
        "The end of an answer is the one of the base's own chat template. Remove this line.", code="template",
        fine=(None, ""), agrees="The base's own, as always here.",
    ),
    "pad_token": no_effect("Padding is never trained on. The result is the same."),
    "f_divergence_type": only(("reverse_kl",), "As always here.", "Only reverse_kl is used here.", code="other_loss"),
    "ld_alpha": never("All of an answer counts here. Remove this line.", code="other_loss"),
    "use_weighting": never("Pairs are not weighted here. Remove this line.", code="other_loss"),
    "loss_weights": never("One loss is used here. Remove this line.", code="other_loss"),
    "sync_ref_model": never("The reference is the base and stays it. Remove this line.", code="other_loss"),
    "max_prompt_length": no_effect("One limit holds for prompt and answer together: max_length."),
    "disable_dropout": no_effect("Only the dropout of LoRA itself can be set here."),
    "dtype": meanings.PRECISION,
    "torch_dtype": meanings.PRECISION,
    "lora_bias": never("Biases are not trained here.", fine=(False, None, "none"), agrees="No biases."),
    **table(meanings.SPEED, "precompute_ref_log_probs precompute_ref_batch_size use_bnb_nested_quant "
                            "bnb_4bit_quant_storage dataset_streaming streaming"),
    **table(no_effect("Only has an effect with another setting that is not used here."),
            "ref_model_mixup_alpha ref_model_sync_steps f_alpha_divergence_coef discopop_tau ignore_bias_buffers "
            "router_aux_loss_coef shuffle_dataset"),
    **table(DATA, "dataset_name datasets"),
    **table(TEXT_FIELD, "dataset_text_field dataset_config dataset_train_split dataset_kwargs"),
    "dataset_test_split": test_split,
    "test_split_size": rules.held_out_share,
    "model_init_kwargs": never(
        "A base is loaded as it is registered. Remove this line.", fine=(None, {}), code="base_changed",
        agrees="As it is registered.",
    ),
    "env": meanings.MACHINES,
}  # fmt: skip


def check(work: Work) -> None:
    if "use_peft" not in work.given:
        work.refuse(
            "use_peft", None,
            "Without use_peft TRL trains all weights of the base. Only LoRA adapters are trained here: write "
            "use_peft: true.",
            "full_fine_tuning", leave_out=False,
        )  # fmt: skip


def defaults(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "epochs": 3.0,
        "learning_rate": 1e-6 if method == Method.DPO else 2e-5,
        "batch_size": 8,
        "accumulation": 1,
        "max_length": 1024,
        "rank": 16,
        "alpha": 32,
        "dropout": 0.05,
        "warmup": 0.0,
        "scheduler": "linear",
        "seed": 42,
        "beta": 0.1,
    }


def write(recipe: Recipe, about: About) -> dict[str, Any]:
    values: dict[str, Any] = {
        "model_name_or_path": about.base,
        **({"model_revision": about.revision} if about.revision else {}),
        "dtype": "bfloat16",
        "use_peft": True,
        "lora_r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "lora_target_modules": list(recipe.target_modules),
        "load_in_4bit": recipe.four_bit,
        **_data(recipe, about),
        "num_train_epochs": number(recipe.epochs),
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.scheduler,
        "warmup_steps": number(recipe.warmup),
        "per_device_train_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.accumulation,
        "max_length": recipe.max_length,
        "seed": recipe.seed,
        "output_dir": "out",
        "bf16": True,
        "report_to": "none",
    }
    if recipe.cut == Cut.CUT:
        values["truncation_mode"] = "keep_start"
    if recipe.method == Method.DPO:
        values |= {"beta": recipe.beta, "loss_type": ["sigmoid"]}
    else:
        values |= {"packing": recipe.packing, "loss_type": "nll"}
    if recipe.checkpoint_steps:
        values |= {"save_strategy": "steps", "save_steps": recipe.checkpoint_steps}
    if recipe.recompute != "auto":
        values["gradient_checkpointing"] = recipe.recompute == "always"
    return values


def _data(recipe: Recipe, about: About) -> dict[str, Any]:
    """A mixture of files has no second one for validation; a folder has, by the names of its files."""
    if not about.validation:
        return {"datasets": [{"path": "json", "data_files": f"{about.slug}.jsonl", "split": "train"}]}
    split = {"dataset_name": f"./{about.slug}", "dataset_train_split": "train", "dataset_test_split": "validation"}
    return split | looks(recipe)


def lost(recipe: Recipe, about: About) -> list[Lost]:
    found = lost_in_all(recipe, about)
    if recipe.cut != Cut.CUT:
        found.append(
            Lost(
                "cut",
                f"TRL cuts the end off rows of more than {recipe.max_length} tokens, answers too. Take such rows "
                "out of the file first.",
            )
        )
    if not recipe.checkpoint_steps:
        found.append(Lost("checkpoint_steps", "TRL saves every 500 steps, not every five minutes."))
    if about.parent:
        found.append(Lost("parent", f"TRL begins a new adapter. Merge {about.parent} into the base first."))
    return found


def remarks(recipe: Recipe, about: About) -> list[str]:
    data = f"Data: export {about.data} as TRL and save it as {about.slug}.jsonl beside this file."
    if about.validation:
        data = (
            f"Data: export {about.data} and {about.validation} as TRL and save them as {about.slug}/train.jsonl and "
            f"{about.slug}/validation.jsonl beside this file."
        )
    return [
        data,
        "warmup_steps below 1 is a share of the steps; before transformers 5 it is called warmup_ratio.",
    ]


TRL = Dialect(
    name="trl",
    label="TRL",
    rules=RULES,
    signature=frozenset({"use_peft", "lora_r", "dataset_name", "max_length", "load_in_4bit", "lora_target_modules",
                         "assistant_only_loss", "completion_only_loss", "dtype", "truncation_mode"}),
    method=trl_method,
    check=check,
    defaults=defaults,
    write=write,
    lost=lost,
    remarks=remarks,
    command=lambda recipe, file: f"trl {recipe.method} --config {file}",
)  # fmt: skip
