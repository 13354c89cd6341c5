"""What people do about training: register bases, count tokens, start and stop runs, remove what nothing stands on."""

from training.services.adapters import delete_adapter
from training.services.bases import cancel_base, change_base, check_base, delete_base, register_base, retry_base
from training.services.decisions import decide_on_base, settle
from training.services.derived import cancel_derived, delete_derived, make_derived, retry_derived
from training.services.heldout import prepare_validation
from training.services.imports import delete_import, import_adapter, retry_import
from training.services.pauses import pause_run, resume_run
from training.services.rehearsals import cancel_rehearsal, rehearse, rehearse_run
from training.services.retraining import retrain_without
from training.services.runs import cancel_run, create_run, delete_run, launch_run, retry_run, set_priority, start_run
from training.services.specs import read_spec
from training.services.sweeps import cancel_sweep, create_sweep, delete_sweep, repeat_winner, start_sweep
from training.services.tokens import drop_lost, ensure_profile, measure_tokens, show_row

__all__ = [
    "cancel_base",
    "cancel_derived",
    "cancel_rehearsal",
    "cancel_run",
    "cancel_sweep",
    "change_base",
    "check_base",
    "create_run",
    "create_sweep",
    "decide_on_base",
    "delete_adapter",
    "delete_base",
    "delete_derived",
    "delete_import",
    "delete_run",
    "delete_sweep",
    "drop_lost",
    "ensure_profile",
    "import_adapter",
    "launch_run",
    "make_derived",
    "measure_tokens",
    "pause_run",
    "prepare_validation",
    "read_spec",
    "register_base",
    "rehearse",
    "rehearse_run",
    "repeat_winner",
    "resume_run",
    "retrain_without",
    "retry_base",
    "retry_derived",
    "retry_import",
    "retry_run",
    "set_priority",
    "settle",
    "show_row",
    "start_run",
    "start_sweep",
]
