"""Settings that most tools share and that have no knob here, each with what that means for the result."""

from training.domain.dialects import rules
from training.domain.dialects.rules import Rule, fixed, named, never, no_effect, table

PLACES = no_effect("Files have their own places here, found on the page of the run.")
REPORTS = no_effect(
    "Metrics are kept and shown on the page of the run; nothing is sent elsewhere. The result is the same."
)
SPEED = no_effect("This is about speed and memory, which are decided by what fits the card. The result is the same.")
MACHINES = no_effect(
    "Which machines work is decided by the queue; how many cards take part is chosen with the run: see the rows a step."
)
SHARED = no_effect(
    "The cards of a run share the weights of the base by itself where one has no room for them. To have them shared in "
    "any case, choose it with the cards."
)
VALIDATION = named(
    "validation",
    "Validation data is a version of a dataset here, looked at before the first step, at even distances, at every "
    "checkpoint and at the end. Choose it in the form.",
)
LOOKS = no_effect(
    "Looks at validation data, where some is chosen, come before the first step, at even distances as far as a tenth "
    "of the time allows, with every checkpoint and at the end. For more of them save more often."
)
HOW_READ = no_effect(
    "Validation rows are read as a step reads its rows, up to a thousand at each look, and their loss is a mean over "
    "tokens. The result is the same."
)
OTHER_FIGURES = no_effect(
    "Of validation rows the loss is taken, and how many tokens are right. For more evaluate the adapter on a golden "
    "set."
)
BY_EVALUATION = no_effect(
    "The last step is kept. The page of the run says which one was best by the validation rows, where it has some."
)
STOPS_EARLY = no_effect(
    "A run does not stop by its validation loss; its page says when it only learns by heart, and which step was best."
)
KEPT = no_effect("How many checkpoints are kept is decided by the space there is. The result is the same.")
PRECISION = no_effect(
    "The precision follows the device: bfloat16 on a GPU, 32 bits on a CPU. Results differ by rounding."
)
PUBLISHES = never(
    "Nothing is sent to a model hub. Download the adapter and publish it yourself.",
    code="publishes",
    agrees="Nothing is published, as always here.",
)
CODE = never(
    "Code that comes with a model is never run here (trust_remote_code). Use a base whose architecture the library "
    "knows, and set this to false.",
    code="remote_code",
    agrees="Code that comes with a model is never run.",
)
WEIGHT_DECAY = fixed(
    (0, 0.0),
    "No weight decay, as always here.",
    "There is no weight decay here. With LoRA it shrinks the adapter a little: expect it slightly larger.",
)
GRAD_NORM = fixed((1, 1.0), "Gradients are clipped at 1, as always here.", "Gradients are clipped at 1 here.")
OPTIMIZER = fixed(
    ("adamw_torch", "adamw_torch_fused", "adamw_hf"),
    "AdamW, as always here.",
    "AdamW in 32 bits works here. Its 8-bit and paged forms learn nearly the same with less memory; other optimisers "
    "do not, and need another learning rate.",
)
ADAM = no_effect("AdamW works with β 0.9 and 0.999 and ε 1e-8 here.")
DROPPED_ROWS = no_effect("All rows of the chosen version are trained on. Make a smaller version to train on fewer.")
RESUMES = no_effect(
    "A run goes on from its own checkpoints. To build on a finished adapter, choose it under “Go on from”."
)
SMOOTHING = never("The loss is not smoothed here. Remove this line or set it to 0.", fine=(0, 0.0, None, False),
                  agrees="No smoothing, as always here.")  # fmt: skip
NOISE = never("There is no noise on the embeddings here (NEFTune). Remove this line.", code="other_loss")
LAYERS = never(
    "Only LoRA on linear layers is trained here. An adapter with other layers saved whole cannot be served by most "
    "engines. Remove this line.",
    code="other_layers",
    fine=(False, None, [], ""),
    agrees="Nothing but LoRA, as always here.",
)
RSLORA = never(
    "Rank-stabilised LoRA divides alpha by √rank, not by rank. Remove this line and write alpha × √rank as alpha "
    "for the same strength.",
    code="rslora",
)
DORA = never(
    "Weight-decomposed LoRA (DoRA) is not trained here, since few engines serve it. Remove this line.", code="dora"
)
EIGHT_BIT = never("A base is loaded whole or in 4 bits here, not in 8. Use 4 bits or none.", code="eight_bit")
OTHER_LORA = never("Only plain LoRA is trained here. Remove this line.", code="other_lora")
OWN_TEMPLATE = (
    "Here chats are written down by the base's own chat template, so that training and serving agree. Leave this line "
    "out, then look at “What the model will see”."
)
CHAT_FILE = never(
    "Chats are written down by the base's own chat template here, so that training and serving agree. Register a base "
    "with that template, or remove this line and look at “What the model will see”.",
    code="template",
    fine=(None, ""),
    agrees="The base's own chat template, as always here.",
)

# Arguments of the trainer that all three tools hand on.
TRAINER: dict[str, Rule] = {
    "learning_rate": rules.same("learning_rate"),
    "seed": rules.same("seed"),
    "max_steps": rules.max_steps,
    "warmup_ratio": rules.warmup,
    "warmup_steps": rules.warmup,
    "save_steps": rules.saving,
    "save_strategy": rules.save_strategy,
    "weight_decay": WEIGHT_DECAY,
    "max_grad_norm": GRAD_NORM,
    "neftune_noise_alpha": NOISE,
    "trust_remote_code": CODE,
    **table(ADAM, "adam_beta1 adam_beta2 adam_epsilon optim_args"),
    **table(PLACES, "output_dir logging_dir overwrite_output_dir run_name"),
    **table(
        REPORTS,
        "report_to logging_steps logging_strategy logging_first_step plot_loss include_tokens_per_second project "
        "disable_tqdm log_level include_num_input_tokens_seen include_num_input_tokens",
    ),
    **table(
        SPEED,
        "dataloader_num_workers dataloader_pin_memory dataloader_prefetch_factor dataloader_persistent_workers "
        "torch_compile tf32 group_by_length gradient_checkpointing_kwargs activation_offloading use_liger_kernel "
        "attn_implementation padding_free pad_to_multiple_of dataset_num_proc torch_empty_cache_steps "
        "average_tokens_across_devices auto_find_batch_size low_cpu_mem_usage",
    ),
    **table(MACHINES, "ddp_timeout ddp_find_unused_parameters local_rank accelerator_config"),
    **table(
        SHARED, "deepspeed fsdp fsdp_config fsdp_version fsdp_final_state_dict_type fsdp_transformer_layer_cls_to_wrap"
    ),
    **table(rules.looks, "eval_strategy evaluation_strategy do_eval"),
    **table(LOOKS, "eval_steps eval_on_start eval_delay"),
    **table(HOW_READ, "per_device_eval_batch_size eval_accumulation_steps eval_packing"),
    **table(BY_EVALUATION, "load_best_model_at_end metric_for_best_model greater_is_better"),
    **table(KEPT, "save_total_limit save_only_model"),
    **table(PRECISION, "bf16 fp16 bf16_full_eval"),
    **table(PUBLISHES, "push_to_hub hub_model_id hub_token hub_strategy hub_private_repo"),
    "resume_from_checkpoint": RESUMES,
    "data_seed": no_effect("The order of the rows follows the seed of the run here."),
    "remove_unused_columns": SPEED,
    "dataloader_drop_last": no_effect("The last, smaller batch is trained on, too."),
    "label_smoothing": SMOOTHING,
    "label_smoothing_factor": SMOOTHING,
}
