"""Reads of several runs beside each other: the runs, their metrics, and what was said of their adapters."""

from collections.abc import Sequence

from projects import contributions
from projects.contributions import RunScore
from projects.models import Project
from training.domain.comparing import Comparison
from training.models import MetricChunk, Run

FIRST = ("loss", "token_accuracy", "reward_accuracy", "tokens_per_second")


def compared(project: Project, comparison: Comparison) -> list[Run]:
    """The runs of this project among those asked for, in the order they were picked."""
    joined = (
        "project",
        "base",
        "dataset_version__dataset",
        "validation_version__dataset",
        "parent_adapter",
        "created_by",
        "adapter",
    )
    found = project.runs.select_related(*joined).in_bulk(list(comparison.runs))
    return [found[pk] for pk in comparison.runs if pk in found]


def metric_names(runs: Sequence[Run]) -> list[str]:
    """What any of them reported; what people look at first comes first."""
    found = MetricChunk.objects.filter(run__in=[run.pk for run in runs]).order_by()
    names = set(found.values_list("name", flat=True).distinct()) - {"seconds", "tokens"}
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def run_scores(runs: Sequence[Run]) -> dict[int, list[RunScore]]:
    """The newest result of each run's adapter on each golden set, by the number of the run."""
    adapters = {run.adapter.pk: run.pk for run in runs if hasattr(run, "adapter")}
    found: dict[int, list[RunScore]] = {}
    for examiner in contributions.examiners:
        for adapter, scores in examiner.scores(list(adapters)).items():
            found.setdefault(adapters[adapter], []).extend(scores)
    return found
