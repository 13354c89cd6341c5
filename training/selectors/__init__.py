"""What pages, the API, services and other apps read about training."""

from training.selectors.adapters import (
    adapter_path,
    adapters,
    cost_of,
    rank_summary,
)
from training.selectors.bases import base_path, bases, local_folders, ready_bases
from training.selectors.checkpoints import Checkpoint, checkpoints, whole_steps
from training.selectors.failing import Spent, Trouble, spent, trouble
from training.selectors.imports import imports
from training.selectors.live import Live, live, log_tail, remaining
from training.selectors.metrics import AXES, Drawn, across, all_curves, curve, curves, drawn, names, newest, thinned
from training.selectors.needs import needs
from training.selectors.products import products
from training.selectors.projections import (
    Where,
    fits_method,
    kept_rows,
    likely_device,
    likely_place,
    plan,
    projection,
    refuse_unbounded,
    rehearsal_digest,
    rehearsal_of,
    trainable_versions,
)
from training.selectors.rates import coverages, device_rates, past, records
from training.selectors.runs import (
    AttemptCost,
    attempts,
    cost_so_far,
    overlaps,
    predicted_against_actual,
    runs,
    training_costs,
)
from training.selectors.tokens import lost_rows, profile_for, seen_anywhere, seen_job, telling_rows, token_stats

__all__ = [
    "AXES",
    "AttemptCost",
    "Checkpoint",
    "Drawn",
    "Live",
    "Spent",
    "Trouble",
    "Where",
    "across",
    "adapter_path",
    "adapters",
    "all_curves",
    "attempts",
    "base_path",
    "bases",
    "checkpoints",
    "cost_of",
    "cost_so_far",
    "coverages",
    "curve",
    "curves",
    "device_rates",
    "drawn",
    "fits_method",
    "imports",
    "kept_rows",
    "likely_device",
    "likely_place",
    "live",
    "local_folders",
    "log_tail",
    "lost_rows",
    "names",
    "needs",
    "newest",
    "overlaps",
    "past",
    "plan",
    "predicted_against_actual",
    "products",
    "profile_for",
    "projection",
    "rank_summary",
    "ready_bases",
    "records",
    "refuse_unbounded",
    "rehearsal_digest",
    "rehearsal_of",
    "remaining",
    "runs",
    "seen_anywhere",
    "seen_job",
    "spent",
    "telling_rows",
    "thinned",
    "token_stats",
    "trainable_versions",
    "training_costs",
    "trouble",
    "whole_steps",
]
