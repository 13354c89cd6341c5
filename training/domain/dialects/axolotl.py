"""Axolotl: `axolotl train FILE`."""

from collections.abc import Mapping
from typing import Any

from training.domain.dialects import meanings, rules
from training.domain.dialects.base import About, Dialect, Lost, lost_in_all, number
from training.domain.dialects.rules import Rule, Work, fixed, named, never, no_effect, only, same, table
from training.domain.recipe import ALL_LINEAR, Cut, Method, Recipe

LENGTHS = {"drop": Cut.DROP, "truncate": Cut.CUT, "raise": Cut.REFUSE}
OWN_TEMPLATE = ("tokenizer_default", None, "")
DATA = named("data", "The data is a version of a dataset here. Choose it in the form.")
ATTENTION = no_effect("How attention is computed is decided by what the card can do. The result is the same.")


def method(work: Work) -> str:
    return (Method.DPO if work.given.get("rl") == "dpo" else Method.SFT).value


def adapter(work: Work, key: str, value: Any) -> None:
    if value in ("lora", "qlora"):
        quantised = value == "qlora" or work.given.get("load_in_4bit") is True
        work.translate("four_bit", key, quantised, "LoRA on a 4-bit base." if quantised else "LoRA.")
    else:
        work.refuse(
            key, value, "Only LoRA adapters are trained here. Write adapter: lora or adapter: qlora.",
            "full_fine_tuning", leave_out=False,
        )  # fmt: skip


def four_bit(work: Work, key: str, value: Any) -> None:
    if value is False and work.given.get("adapter") == "qlora":
        work.refuse(key, value, "adapter: qlora needs load_in_4bit: true. Make them agree.", "contradiction",
                    leave_out=False)  # fmt: skip
    else:
        work.agree(key, value, "A 4-bit base (QLoRA)." if value is True else "The base as it is.")


def length_strategy(work: Work, key: str, value: Any) -> None:
    if value in LENGTHS:
        work.translate("cut", key, LENGTHS[value].value, f"Rows that are too long: {LENGTHS[value].value}.")
    else:
        work.refuse(key, value, "It is one of drop, truncate, raise.", "unknown_choice")


def template(work: Work, key: str, value: Any) -> None:
    if value in OWN_TEMPLATE or str(value).startswith("tokenizer_default_fallback_"):
        work.agree(key, value, "The base's own chat template, as always here.")
    else:
        work.refuse(
            key, value,
            f"“{rules.told(value)}” is a template of Axolotl's own. {meanings.OWN_TEMPLATE}",
            "template",
        )  # fmt: skip


def target_linear(work: Work, key: str, value: Any) -> None:
    if value is True:
        work.translate("target_modules", key, ALL_LINEAR, "Every linear layer.")
    elif "lora_target_modules" not in work.given:
        work.refuse(key, value, "No layer would be adapted. Name them in lora_target_modules.", leave_out=False)
    else:
        work.agree(key, value, "The layers are named.")


def total_batch(work: Work, key: str, value: Any) -> None:
    micro = work.given.get("micro_batch_size", 1)
    whole = isinstance(value, int) and isinstance(micro, int) and micro > 0 and value % (micro * work.gpus) == 0
    if whole and not isinstance(value, bool) and "gradient_accumulation_steps" not in work.given:
        steps = value // micro
        work.translate("accumulation", key, steps, f"{value} rows a step are {micro} at once, {steps} times.")
    else:
        work.refuse(key, value, "Say micro_batch_size and gradient_accumulation_steps instead of batch_size.",
                    "contradiction")  # fmt: skip


def checkpointing(work: Work, key: str, value: Any) -> None:
    on = value in (True, "offload", "offload_disk", "unsloth")
    text = "Activations are computed again: less memory, a third more time." if on else "Activations are kept."
    work.translate("recompute", key, "always" if on else "never", text)


RULES: dict[str, Rule] = {
    **meanings.TRAINER,
    "base_model": named("base", "The base is one of those registered here."),
    "revision_of_model": named("revision", "A base here is one exact commit."),
    "lora_model_dir": named("parent", "Training goes on from this adapter: choose it under “Go on from an adapter”."),
    "adapter": adapter,
    "load_in_4bit": four_bit,
    "lora_r": same("rank"),
    "lora_alpha": same("alpha"),
    "lora_dropout": same("dropout"),
    "lora_target_linear": target_linear,
    "lora_target_modules": rules.modules((ALL_LINEAR,)),
    "num_epochs": same("epochs"),
    "micro_batch_size": same("batch_size"),
    "gradient_accumulation_steps": same("accumulation"),
    "batch_size": total_batch,
    "sequence_len": same("max_length"),
    "excess_length_strategy": length_strategy,
    "sample_packing": same("packing"),
    "lr_scheduler": rules.scheduler,
    "rl_beta": same("beta"),
    "dpo_beta": same("beta"),
    "gradient_checkpointing": checkpointing,
    "chat_template": template,
    "chat_template_jinja": meanings.CHAT_FILE,
    "rl": only(("dpo", None, ""), "DPO, or SFT where it is empty.",
               "Only SFT and DPO are trained here. Use rl: dpo, or none.", code="other_method"),
    "optimizer": meanings.OPTIMIZER,
    "train_on_inputs": fixed((False, None), "Only answers are trained on, as always here.",
                             "Only answers are trained on here, never prompts."),
    "load_in_8bit": meanings.EIGHT_BIT,
    "peft_use_rslora": meanings.RSLORA,
    "peft_use_dora": meanings.DORA,
    "dpo_use_weighting": never("Pairs are not weighted here. Remove this line.", code="other_loss"),
    **table(meanings.LAYERS, "lora_modules_to_save lora_target_parameters unfrozen_parameters "
                             "peft_layers_to_transform peft_layers_pattern peft_trainable_token_indices"),
    **table(meanings.OTHER_LORA, "loraplus_lr_ratio peft_init_lora_weights peft_layer_replication relora gptq "
                                 "lora_fan_in_fan_out peft"),
    **table(never("Tokens are never added to a base here: its adapters could not be served. Remove this line.",
                  code="tokens", fine=(None, {}, []), agrees="None."), "tokens added_tokens_overrides special_tokens"),
    **table(never("Programs named in a spec are never run here. Remove this line.", code="remote_code",
                  fine=(None, []), agrees="None, as always here."), "plugins custom_trainer"),
    **table(never("Only chats, texts and pairs are trained on here. Remove this line.", code="other_method",
                  fine=(None, False)), "reward_model process_reward_model pretraining_dataset"),
    **table(DATA, "datasets"),
    "test_datasets": meanings.VALIDATION,
    "val_set_size": rules.held_out_share,
    "evals_per_epoch": meanings.LOOKS,
    "early_stopping_patience": meanings.STOPS_EARLY,
    **table(meanings.HOW_READ, "eval_batch_size eval_sample_packing"),
    **table(meanings.OTHER_FIGURES, "eval_table_size eval_max_new_tokens do_causal_lm_eval"),
    **table(meanings.PLACES, "dataset_prepared_path lora_out_dir"),
    **table(meanings.REPORTS, "wandb_project wandb_entity wandb_watch wandb_name wandb_log_model wandb_mode "
                              "wandb_run_id mlflow_tracking_uri mlflow_experiment_name use_tensorboard comet_api_key "
                              "strict debug"),
    **table(meanings.SPEED, "pad_to_sequence_len dataset_processes flash_attn_cross_entropy flash_attn_rms_norm "
                            "flash_attn_fuse_mlp lora_mlp_kernel lora_qkv_kernel lora_o_kernel "
                            "unsloth_cross_entropy_loss sample_packing_group_size sample_packing_bin_size "
                            "multipack_real_batches batch_flattening gc_steps hf_use_auth_token "
                            "skip_prepare_dataset dataset_keep_in_memory"),
    **table(ATTENTION, "flash_attention sdp_attention xformers_attention flex_attention eager_attention s2_attention"),
    **table(meanings.PRECISION, "bfloat16 float16 float32 fp8"),
    **table(meanings.MACHINES, "device_map world_size gpu_memory_limit max_memory sequence_parallel_degree"),
    **table(no_effect("What kind of model it is, is read from the base."), "model_type tokenizer_type tokenizer_config "
            "is_llama_derived_model is_mistral_derived_model is_qwen_derived_model is_falcon_derived_model "
            "base_model_config tokenizer_use_fast"),
    **table(no_effect("Saving follows save_steps, else every five minutes."), "saves_per_epoch"),
    **table(no_effect("A run stops by itself when its loss is no number any more."),
            "loss_watchdog_threshold loss_watchdog_patience"),
    "dataset_exact_deduplication": no_effect("Doubles are a finding of the dataset, taken out there by one click."),
    "shuffle_merged_datasets": no_effect("Rows are shuffled by the seed."),
    "default_system_message": never("A system message stands in the rows here. Add it to the data.", code="data"),
    "group_by_length": meanings.SPEED,
    "resize_token_embeddings_to_32x": no_effect("Token tables are left as they are. The result is the same."),
    "max_prompt_len": no_effect("One limit holds for prompt and answer together: sequence_len."),
    "min_sample_len": no_effect("Rows of any length are trained on. Drop short ones from the data."),
}  # fmt: skip


def check(work: Work) -> None:
    if "adapter" not in work.given:
        work.refuse(
            "adapter", None, "Without “adapter” Axolotl trains all weights of the base. Write adapter: lora or qlora.",
            "full_fine_tuning", leave_out=False,
        )  # fmt: skip
    if not {"lora_target_linear", "lora_target_modules"} & set(work.given):
        work.ignore("lora_target_linear", None, "No layers are named, so every linear layer is adapted.")


def defaults(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "epochs": 1.0,
        "batch_size": 1,
        "accumulation": 1,
        "max_length": 512,
        "rank": 8,
        "alpha": 8,
        "dropout": 0.0,
        "warmup": 0.03,
        "scheduler": "cosine",
        "seed": 42,
        "beta": 0.1,
    }


def write(recipe: Recipe, about: About) -> dict[str, Any]:
    everything = recipe.target_modules == (ALL_LINEAR,)
    is_dpo = recipe.method == Method.DPO
    values: dict[str, Any] = {
        "base_model": about.base,
        **({"revision_of_model": about.revision} if about.revision else {}),
        "adapter": "qlora" if recipe.four_bit else "lora",
        "load_in_4bit": recipe.four_bit,
        **({"lora_model_dir": about.parent} if about.parent else {}),
        "lora_r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        **({"lora_target_linear": True} if everything else {"lora_target_modules": list(recipe.target_modules)}),
        **({"rl": "dpo", "rl_beta": recipe.beta} if is_dpo else {}),
        "chat_template": "tokenizer_default",
        "datasets": [_dataset(about, about.slug, is_dpo)],
        **_held_out(recipe, about, is_dpo),
        "sequence_len": recipe.max_length,
        "excess_length_strategy": {cut: name for name, cut in LENGTHS.items()}[Cut(recipe.cut)],
        **({} if is_dpo else {"sample_packing": recipe.packing, "train_on_inputs": False}),
        "num_epochs": number(recipe.epochs),
        "micro_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.accumulation,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler": recipe.scheduler,
        "warmup_ratio": recipe.warmup,
        "optimizer": "adamw_torch_fused",
        "weight_decay": 0.0,
        "bf16": "auto",
        "seed": recipe.seed,
        "output_dir": "out",
    }
    if recipe.checkpoint_steps:
        values["save_steps"] = recipe.checkpoint_steps
    if recipe.recompute != "auto":
        values["gradient_checkpointing"] = recipe.recompute == "always"
    return values


def _held_out(recipe: Recipe, about: About, is_dpo: bool) -> dict[str, Any]:
    """Files of their own and a part of the data exclude each other there."""
    if not about.validation:
        return {"val_set_size": 0}
    often = {"eval_steps": recipe.checkpoint_steps} if recipe.checkpoint_steps else {"evals_per_epoch": 1}
    return {"test_datasets": [_dataset(about, about.validation_slug, is_dpo)], **often}


def _dataset(about: About, slug: str, is_dpo: bool) -> dict[str, Any]:
    file = {"path": f"{slug}.jsonl", "ds_type": "json", "split": "train"}
    if is_dpo:
        return file | {"type": "chat_template.default", "field_messages": "prompt"}
    if about.kind == "text":
        return file | {"type": "completion", "field": "text"}
    return file | {"type": "chat_template", "field_messages": "messages", "roles_to_train": ["assistant"]}


def lost(recipe: Recipe, about: About) -> list[Lost]:
    found = lost_in_all(recipe, about)
    if not recipe.checkpoint_steps:
        found.append(Lost("checkpoint_steps", "Axolotl saves once an epoch, not every five minutes."))
    return found


def remarks(recipe: Recipe, about: About) -> list[str]:
    found = [f"Data: export {about.data} as TRL and save it as {about.slug}.jsonl beside this file."]
    if about.validation:
        found.append(f"Validation data: the same of {about.validation} as {about.validation_slug}.jsonl.")
    if about.parent:
        found.append(f"lora_model_dir: unpack the adapter {about.parent} there.")
    return [*found, "chat_template: tokenizer_default is the base's own template, the one trained with here."]


AXOLOTL = Dialect(
    name="axolotl",
    label="Axolotl",
    rules=RULES,
    signature=frozenset({"base_model", "adapter", "micro_batch_size", "sequence_len", "num_epochs",
                         "lora_target_linear", "sample_packing", "lr_scheduler", "val_set_size", "datasets", "rl"}),
    method=method,
    check=check,
    defaults=defaults,
    write=write,
    lost=lost,
    remarks=remarks,
    command=lambda recipe, file: f"axolotl train {file}",
)  # fmt: skip
