"""What the pages of training show: rows, figures and words put together."""

from training.pages.runs import (
    base_facts,
    descendants,
    length_figure,
    overview,
    plan,
    projection,
    run_facts,
    run_figures,
    run_status,
    tell_reasons,
)
from training.pages.seen import row_page, seen_page, tabs

__all__ = [
    "base_facts",
    "descendants",
    "length_figure",
    "overview",
    "plan",
    "projection",
    "row_page",
    "run_facts",
    "run_figures",
    "run_status",
    "seen_page",
    "tabs",
    "tell_reasons",
]
