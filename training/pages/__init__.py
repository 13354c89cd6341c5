"""What the pages of training show: rows, figures and words put together."""

from training.pages.bases import base_copies, base_facts, base_shards
from training.pages.comparing import comparison_page, curves, differences
from training.pages.durability import like
from training.pages.listing import run_filters, run_list
from training.pages.projections import calibration_page, rehearsal_page
from training.pages.runs import (
    descendants,
    length_figure,
    overview,
    plan,
    projection,
    run_facts,
    run_status,
    stand,
    tell_reasons,
)
from training.pages.seen import row_page, seen_page, tabs
from training.pages.sweeps import shared_facts, sweep_draft, sweep_facts, sweep_list, sweep_page
from training.pages.watching import OVER, Window, run_figures, traces, window

__all__ = [
    "OVER",
    "Window",
    "base_copies",
    "base_facts",
    "base_shards",
    "calibration_page",
    "comparison_page",
    "curves",
    "descendants",
    "differences",
    "length_figure",
    "like",
    "overview",
    "plan",
    "projection",
    "rehearsal_page",
    "row_page",
    "run_facts",
    "run_figures",
    "run_filters",
    "run_list",
    "run_status",
    "seen_page",
    "shared_facts",
    "stand",
    "sweep_draft",
    "sweep_facts",
    "sweep_list",
    "sweep_page",
    "tabs",
    "tell_reasons",
    "traces",
    "window",
]
