"""LLaMA-Factory: `llamafactory-cli train FILE`."""

from collections.abc import Mapping
from typing import Any

from training.domain.dialects import meanings, rules
from training.domain.dialects.base import About, Dialect, Lost, looks, lost_in_all, number
from training.domain.dialects.rules import Rule, Work, fixed, named, never, no_effect, only, same, table
from training.domain.recipe import ALL_LINEAR, Method, Recipe

DATA = named("data", "The data is a version of a dataset here. Choose it in the form.")
STAGES = {"sft": Method.SFT, "dpo": Method.DPO}
NO_TRAINING = "This file does not train. Choose one with do_train: true."


def method(work: Work) -> str:
    return STAGES.get(str(work.given.get("stage", "sft")), Method.SFT).value


def template(work: Work, key: str, value: Any) -> None:
    if value in (None, ""):
        work.agree(key, value, "The base's own chat template, as always here.")
    else:
        work.refuse(
            key, value,
            f"“{rules.told(value)}” is a template of LLaMA-Factory's own. {meanings.OWN_TEMPLATE}",
            "template",
        )  # fmt: skip


def bits(work: Work, key: str, value: Any) -> None:
    if value in (4, None) and not isinstance(value, bool):
        work.set("four_bit", key, value == 4)
    else:
        work.refuse(key, value, "A base is loaded whole or in 4 bits here. Use 4, or leave it out.", "eight_bit")


def packing(work: Work, key: str, value: Any) -> None:
    """Their plain packing lets rows see each other; ours never does."""
    if value is True and work.given.get("neat_packing") is not True:
        work.translate(
            "packing", key, True, "Packed rows are kept apart here (neat_packing); there they see each other."
        )
    else:
        work.set("packing", key, value if value is not None else False)


def neat(work: Work, key: str, value: Any) -> None:
    if value is True:
        work.set("packing", key, True)
    else:
        work.agree(key, value, "Packed rows are always kept apart here.")


def no_checkpointing(work: Work, key: str, value: Any) -> None:
    rules.switch(
        "recompute", "never", "always", text_on="Activations are kept.",
        text_off="Activations are computed again: less memory, a third more time.",
    )(work, key, value)  # fmt: skip


RULES: dict[str, Rule] = {
    **meanings.TRAINER,
    "model_name_or_path": named("base", "The base is one of those registered here."),
    "model_revision": named("revision", "A base here is one exact commit."),
    "adapter_name_or_path": named(
        "parent", "Training goes on from this adapter: choose it under “Go on from an adapter”."
    ),
    "stage": only(tuple(STAGES), "The method.", "Only SFT and DPO are trained here. Use stage: sft or stage: dpo.",
                  code="other_method"),
    "do_train": only((True,), "It trains.", NO_TRAINING, code="no_training"),
    "do_predict": never("Nothing is predicted while training. Evaluate the adapter afterwards.", agrees="No."),
    "finetuning_type": only(
        ("lora",), "LoRA, as always here.",
        "Only LoRA adapters are trained here, not all or single layers of a base. Write finetuning_type: lora.",
        code="full_fine_tuning",
    ),
    "lora_rank": same("rank"),
    "lora_alpha": same("alpha"),
    "lora_dropout": same("dropout"),
    "lora_target": rules.modules(("all", ALL_LINEAR)),
    "quantization_bit": bits,
    "quantization_method": fixed(("bitsandbytes", "bnb", None), "bitsandbytes, as always here.",
                                 "4-bit bases are loaded by bitsandbytes here."),
    "quantization_type": fixed(("nf4",), "NF4, as always here.", "4-bit bases are loaded as NF4 here."),
    "cutoff_len": same("max_length"),
    "packing": packing,
    "neat_packing": neat,
    "num_train_epochs": same("epochs"),
    "per_device_train_batch_size": same("batch_size"),
    "gradient_accumulation_steps": same("accumulation"),
    "lr_scheduler_type": rules.scheduler,
    "optim": meanings.OPTIMIZER,
    "pref_beta": same("beta"),
    "pref_loss": only(("sigmoid",), "The loss of DPO, as always here.", "Only sigmoid is trained with here.",
                      code="other_loss"),
    "pref_ftx": never("The loss has no share of SFT here. Remove this line or set it to 0.", fine=(0, 0.0, None),
                      code="other_loss", agrees="None, as always here."),
    "dpo_label_smoothing": meanings.SMOOTHING,
    "ld_alpha": never("All of an answer counts here. Remove this line.", code="other_loss"),
    "disable_gradient_checkpointing": no_checkpointing,
    "template": template,
    "tool_format": meanings.CHAT_FILE,
    "default_system": never("A system message stands in the rows here. Add it to the data.", code="data"),
    "train_on_prompt": fixed((False,), "Only answers are trained on, as always here.",
                             "Only answers are trained on here, never prompts."),
    "mask_history": never("All answers of a conversation are trained on here, not the last alone. Give the others "
                          "weight 0 in the data.", code="data", agrees="All answers are trained on, as always here."),
    "use_rslora": meanings.RSLORA,
    "use_dora": meanings.DORA,
    **table(meanings.LAYERS, "additional_target freeze_trainable_layers freeze_trainable_modules"),
    **table(meanings.OTHER_LORA, "loraplus_lr_ratio pissa_init pissa_convert use_galore use_apollo use_badam "
                                 "use_llama_pro use_muon mixture_of_depths shift_attn train_from_scratch"),
    **table(never("Tokens are never added to a base here: its adapters could not be served. Remove this line.",
                  code="tokens", agrees="None."), "resize_vocab add_tokens add_special_tokens "
                                                 "new_special_tokens_config"),
    **table(never("The reference is the base itself here. Remove this line.", code="other_loss"),
            "ref_model ref_model_adapters ref_model_quantization_bit"),
    "rope_scaling": never("The base is trained as it is registered. Remove this line.", code="base_changed",
                          agrees="As it is registered."),
    **table(DATA, "dataset"),
    "eval_dataset": meanings.VALIDATION,
    "val_size": rules.held_out_share,
    "eval_on_each_dataset": meanings.HOW_READ,
    **table(meanings.OTHER_FIGURES, "compute_accuracy predict_with_generate"),
    **table(meanings.DROPPED_ROWS, "max_samples mix_strategy interleave_probs"),
    **table(meanings.PLACES, "dataset_dir media_dir cache_dir overwrite_cache tokenized_path"),
    **table(meanings.REPORTS, "use_swanlab swanlab_project swanlab_run_name swanlab_api_key ray_run_name "
                              "report_model_usage"),
    **table(meanings.SPEED, "preprocessing_num_workers preprocessing_batch_size flash_attn enable_liger_kernel "
                            "use_unsloth use_unsloth_gc use_reentrant_gc double_quantization streaming buffer_size "
                            "use_fast_tokenizer use_kv_cache quantization_device_map"),
    **table(meanings.PRECISION, "pure_bf16 upcast_layernorm upcast_lmhead_output infer_dtype fp8"),
    **table(meanings.MACHINES, "ray_num_workers resources_per_worker placement_strategy"),
    **table(no_effect("Has no effect on training."), "create_new_adapter ignore_pad_token_for_loss infer_backend"),
    **table(meanings.PUBLISHES, "hf_hub_token ms_hub_token om_hub_token"),
}  # fmt: skip


def check(work: Work) -> None:
    if "disable_gradient_checkpointing" in work.given and "gradient_checkpointing" in work.given:
        work.refuse("gradient_checkpointing", work.given["gradient_checkpointing"], "Say it once: remove this line.",
                    "contradiction")  # fmt: skip


def defaults(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    rank = given.get("lora_rank", 8)
    return {
        "epochs": 3.0,
        "learning_rate": 5e-5,
        "batch_size": 8,
        "accumulation": 1,
        "max_length": 2048,
        "rank": 8,
        "alpha": rank * 2 if isinstance(rank, int) else 16,
        "dropout": 0.0,
        "warmup": 0.0,
        "scheduler": "linear",
        "seed": 42,
        "beta": 0.1,
    }


def write(recipe: Recipe, about: About) -> dict[str, Any]:
    everything = recipe.target_modules == (ALL_LINEAR,)
    values: dict[str, Any] = {
        "model_name_or_path": about.base,
        **({"model_revision": about.revision} if about.revision else {}),
        **({"adapter_name_or_path": about.parent} if about.parent else {}),
        "stage": recipe.method,
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "lora_target": "all" if everything else ",".join(recipe.target_modules),
        **({"quantization_bit": 4, "quantization_method": "bnb"} if recipe.four_bit else {}),
        "dataset": about.slug.replace("-", "_"),
        **({"eval_dataset": about.validation_slug.replace("-", "_"), **looks(recipe)} if about.validation else {}),
        "cutoff_len": recipe.max_length,
        "num_train_epochs": number(recipe.epochs),
        "per_device_train_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.accumulation,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.scheduler,
        "warmup_ratio": recipe.warmup,
        "bf16": True,
        "seed": recipe.seed,
        "output_dir": "out",
        "report_to": "none",
    }
    if recipe.method == Method.DPO:
        values |= {"pref_beta": recipe.beta, "pref_loss": "sigmoid"}
    elif recipe.packing:
        values |= {"packing": True, "neat_packing": True}
    if recipe.checkpoint_steps:
        values |= {"save_strategy": "steps", "save_steps": recipe.checkpoint_steps}
    if recipe.recompute != "auto":
        values["disable_gradient_checkpointing"] = recipe.recompute == "never"
    return values


def lost(recipe: Recipe, about: About) -> list[Lost]:
    found = lost_in_all(recipe, about)
    found.append(
        Lost(
            "cut",
            f"LLaMA-Factory cuts rows of more than {recipe.max_length} tokens without asking, prompts and answers in "
            "proportion. Take such rows out of the file first.",
        )
    )
    if not recipe.checkpoint_steps:
        found.append(Lost("checkpoint_steps", "LLaMA-Factory saves every 500 steps, not every five minutes."))
    if about.kind == "text":
        found.append(
            Lost("method", "LLaMA-Factory trains on plain text with stage: pt only, which has other settings.")
        )
    return found


def remarks(recipe: Recipe, about: About) -> list[str]:
    ranking = ', "ranking": true' if recipe.method == Method.DPO else ""

    def entry(slug: str) -> str:
        name = slug.replace("-", "_")
        return f'"{name}": {{"file_name": "{slug}.jsonl", "formatting": "sharegpt"{ranking}}}'

    found = [
        f"Data: export {about.data} as ShareGPT, save it as data/{about.slug}.jsonl and put this into "
        f"data/dataset_info.json: {entry(about.slug)}",
        "template: left out on purpose, so that the base's own chat template is read. Versions that ask for a name "
        "have templates of their own, which may differ from it.",
    ]
    if about.validation:
        found.append(f"Validation data: the same of {about.validation}: {entry(about.validation_slug)}")
    if about.parent:
        found.append(f"adapter_name_or_path: unpack the adapter {about.parent} there.")
    return found


LLAMA_FACTORY = Dialect(
    name="llama_factory",
    label="LLaMA-Factory",
    rules=RULES,
    signature=frozenset({"stage", "do_train", "finetuning_type", "lora_rank", "lora_target", "cutoff_len", "template",
                         "quantization_bit", "pref_beta", "pref_loss", "dataset", "val_size"}),
    method=method,
    check=check,
    defaults=defaults,
    write=write,
    lost=lost,
    remarks=remarks,
    command=lambda recipe, file: f"llamafactory-cli train {file}",
)  # fmt: skip
