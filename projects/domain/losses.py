"""Why money brought nothing: every code that work can fail with, and whose it is to mend."""

from enum import StrEnum

from projects.domain.states import WITHOUT_RESULT, Outcome


class Loss(StrEnum):
    """The cause of a loss. Declared in the order in which pages name them."""

    DATA = "data"
    RECIPE = "recipe"
    MEMORY = "memory"
    INFRASTRUCTURE = "infrastructure"
    SOFTWARE = "software"
    USER = "user"


WORDS = {
    Loss.DATA: ("Data", "Rows, templates or files that could not be used as they are."),
    Loss.RECIPE: ("Recipe", "Settings that do not work with this base or this data."),
    Loss.MEMORY: ("Memory", "It did not fit into the memory of the card or the host."),
    Loss.INFRASTRUCTURE: ("Infrastructure", "Workers lost, killed or stalled, full disks, networks."),
    Loss.SOFTWARE: ("Software", "Faults of Luthier or of the libraries it stands on."),
    Loss.USER: ("Stopped by a person", "Cancelled by somebody before the end."),
}

_CODES = {
    Loss.DATA: """
        adapter_damaged adapter_mismatch other_adapter other_base flipped_bit rank_cut wrong_scaling
        effect_differs wrong_quantisation base_quantised model_changed
        tokenizer_differs answer_cut archive_damaged archive_too_large archive_too_many
        archive_unsupported arrow_damaged arrow_extension artefact_damaged base_already_registered base_changed
        base_missing chains_too_large custom_code damaged_config damaged_weights data_changed data_missing
        decoded_too_large empty_file encoding_utf16 file_missing format_unknown format_unsupported golden_empty
        hash_mismatch incomplete_adapter incomplete_model json_not_rows line_ends_cr mapping_invalid mixed_kinds
        nested_archive no_answer no_end_token no_good_rows no_rows_left no_such_row no_template
        no_trained_tokens not_in_the_making only_safetensors origin_policy parquet_damaged pretokenised
        prompt_only prompts_too_long recipe_breaks_row retention_empty revision_not_found row_not_rendered
        same_content shape_unknown source_missing stepwise_rows template template_forbidden template_limit
        too_many_rows type_mismatch unknown_file unpaired_rows unsafe_adapter_config unsafe_path unusable_base
        wrong_base wrong_kind wrong_shape
        """,
    Loss.RECIPE: """
        bad_recipe nan_loss parent_mismatch too_long unknown_module adapter_no_effect adapter_invalid packing_needs_sft
        too_many_steps beyond_context rank_beyond_layer sharding_needs_cards sharding_needs_16_bit
        rehearsal_needs_one_card
        not_mergeable not_quantisable not_finite
        """,
    Loss.MEMORY: "oom memory_limit will_not_fit",
    Loss.INFRASTRUCTURE: """
        worker_lost rank_lost infra_quarantined killed stalled hung host_stopped disk_full disk_error device_error
        hub_gated no_device storage_failed no_checkpoint grace_over hub_unreachable no_quantiser cpu_limit file_limit
        bad_spec
        """,
    Loss.SOFTWARE: """
        crashed engine_exited internal no_result answers_incomplete no_answers no_readings adapter_not_applied failed
        not_loadable
        """,
    Loss.USER: "cancelled superseded approval_stale",
}
BY_CODE = {code: loss for loss, codes in _CODES.items() for code in codes.split()}


def loss_of(outcome: str, code: str = "") -> str:
    """The cause of a loss of work that ended so; empty for what lost nothing. An unknown failure is ours."""
    if outcome not in WITHOUT_RESULT:
        return ""
    if outcome == Outcome.CANCELLED:
        return Loss.USER.value
    if outcome in {Outcome.LOST, Outcome.INTERRUPTED}:
        return Loss.INFRASTRUCTURE.value
    return BY_CODE.get(code, Loss.SOFTWARE).value


def words(loss: str) -> str:
    return WORDS[Loss(loss)][0] if loss in set(Loss) else loss.replace("_", " ").capitalize()


def hint(loss: str) -> str:
    return WORDS[Loss(loss)][1] if loss in set(Loss) else ""
