"""Runs that are compared as parallel coordinates: from the settings in which they differ to what came of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.charts import comparing as charts
from training.models import Run

FEWEST = 3  # of two runs the table says it better
MOST_AXES = 7
MOST_WORDS = 10  # values that are no numbers; more of them would stand on top of each other
LOG = {"learning_rate", "weight_decay"}


def parallels(
    runs: Sequence[Run], differing: Sequence[Mapping[str, Any]], ends: Mapping[int, float], label: str, *, rising: bool
) -> dict[str, Any] | None:
    """`differing`: name, label and the value of each run as text; `ends`: what each run came to."""
    names = {run.pk: run.name for run in runs if run.pk in ends}
    axes = [axis for one in differing if (axis := _axis(one, names)) is not None][:MOST_AXES]
    if len(names) < FEWEST or not axes:
        return None
    measure = f"{label} at the end"
    axes.append(charts.Axis(measure, {pk: float(f"{ends[pk]:.4g}") for pk in names}))
    return {
        "figure": charts.parallel(axes, names, rising=rising),
        "title": f"{len(names)} runs from their settings to the {measure[0].lower()}{measure[1:]}",
        "table": charts.parallel_table(axes, names),
    }


def _axis(one: Mapping[str, Any], names: Mapping[int, str]) -> charts.Axis | None:
    """None where those that came to an end do not differ, or in too many ways to be told apart."""
    values = {pk: _value(one["values"].get(str(pk))) for pk in names}
    different = set(map(str, values.values()))
    numbers = all(isinstance(value, float) for value in values.values())
    if len(different) < 2 or (not numbers and len(different) > MOST_WORDS):
        return None
    return charts.Axis(one["label"], values, log=one["name"] in LOG and all(value > 0 for value in values.values()))


def _value(text: str | None) -> Any:
    try:
        return float(text or "")
    except ValueError:
        return text or "–"
