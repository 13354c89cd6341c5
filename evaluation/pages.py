"""Figures with the numbers they show, ready for a page: of one evaluation, and of a golden set over time."""

from collections import Counter
from typing import Any

from datasets_app.models import Dataset
from evaluation import charts, selectors
from evaluation.models import Evaluation, Probe
from evaluation.selectors import Cell
from projects.artefacts import ArtefactDamaged
from projects.contributions import Figure
from projects.domain import formatting
from projects.models import Project
from training.domain.compatibility import TONES, Verdict
from training.models import Adapter


def quality_over_time(project: Project, dataset: Dataset) -> Figure | None:
    """How the adapters of a project did on one golden set, one point an evaluation."""
    points = selectors.history(project, dataset)[-200:]
    if not points:
        return None
    moments, names = [point.at for point in points], [_name(point.evaluation) for point in points]
    scores = [point.score for point in points]
    return Figure(
        id=f"quality-{dataset.pk}",
        title=f"{charts.history_title(scores[-1].label, scores)} ({dataset.name})",
        figure=charts.history(moments, names, scores),
        table=charts.history_table(moments, names, scores),
    )


def _name(evaluation: Evaluation) -> str:
    """The adapter, and its base where that is not its own."""
    adapter = evaluation.adapter
    return adapter.name if evaluation.base_id == adapter.base_id else f"{adapter.name} on {evaluation.base.name}"


def overview_figures(project: Project) -> list[Figure]:
    """Quality on the golden set that was used last."""
    figures = (quality_over_time(project, dataset) for dataset in selectors.golden_sets(project)[:1])
    return [figure for figure in figures if figure]


def arms(evaluation: Evaluation) -> Figure | None:
    """Base and adapter by grader, with the interval of the difference."""
    scores = selectors.scores(evaluation)
    if not scores:
        return None
    first = scores[0]
    title = (
        f"{first.label}: {formatting.percent(first.base)} → {formatting.percent(first.adapter)}, "
        f"{formatting.points(first.difference)} ({charts.interval(first)})"
    )
    return Figure("arms", title, charts.arms(scores), charts.arms_table(scores))


def facts(evaluation: Evaluation) -> list[tuple[str, Any]]:
    """What it was measured with, as label and value."""
    summary, chosen = evaluation.summary, evaluation.settings
    seconds, tokens = summary.get("seconds") or {}, summary.get("tokens") or {}
    rows: list[tuple[str, Any]] = [
        ("Answers of at most", f"{chosen.get('max_new_tokens')} tokens, greedy"),
        ("Golden rows", _rows(evaluation)),
        ("Device", {"cuda": "GPU", "cpu": "CPU"}.get(evaluation.device, evaluation.device) or "–"),
    ]
    for arm in ("base", "adapter"):
        if seconds.get(arm):
            pace = formatting.number(tokens.get(arm, 0) / seconds[arm])
            took = formatting.duration(seconds[arm])
            rows.append((f"{arm.title()} answered in", f"{took}, {pace} tokens/s"))
    if retention := summary.get("retention"):
        text = f"{formatting.number(retention['rows'])} rows, {formatting.number(retention['tokens'])} tokens"
        rows.append(("Retention text", text))
    packages = summary.get("packages") or {}
    if packages:
        rows.append(("Measured with", ", ".join(f"{name} {version}" for name, version in packages.items())))
    return rows


def _rows(evaluation: Evaluation) -> str:
    total, limit = evaluation.golden.rows, evaluation.settings.get("limit")
    if limit and limit < total:
        return (
            f"a sample of {formatting.number(limit)} of {formatting.number(total)}, seed {evaluation.settings['seed']}"
        )
    return f"all {formatting.number(total)}"


def warnings(evaluation: Evaluation) -> list[str]:
    """What makes the numbers say less than they seem to."""
    summary, found = evaluation.summary, []
    if leak := selectors.leaked(evaluation):
        found.append(
            f"{formatting.number(leak.total)} golden rows were in the training data of this adapter, so its score is "
            "flattered. Clean the dataset, train again and evaluate that adapter."
        )
    cut = summary.get("cut") or {}
    if cut.get("adapter"):
        found.append(
            f"{formatting.number(cut['adapter'])} answers of the adapter were cut at "
            f"{evaluation.settings['max_new_tokens']} tokens. Evaluate again with longer answers."
        )
    if summary.get("too_long"):
        found.append(
            f"{formatting.number(summary['too_long'])} golden prompts are longer than the base model can read. "
            "They have no answer and count as wrong in both arms."
        )
    return found


def matrix_sums(rows: list[tuple[Adapter, list[Cell]]]) -> list[tuple[str, str, int]]:
    """How many pairs of the page have each verdict, in words and tone; those that stand on their own base left out."""
    found = Counter(cell.judgement.verdict for _, cells in rows for cell in cells if not cell.is_own)
    return [(verdict.value.capitalize(), TONES[verdict], found[verdict]) for verdict in Verdict if found[verdict]]


def measured(probe: Probe) -> dict[str, Any]:
    """The figures of a probe as rows of a table, and what it was measured with."""
    figures = probe.figures
    rows = [
        ("The base alone", figures["base"], "KL of what both versions say next, without the adapter"),
        ("The base with the adapter", figures["adapter"], "the same with it; this decides"),
    ]
    return {
        "probe": probe,
        "rows": [(label, _band(interval), why) for label, interval, why in rows],
        "effect": figures["effect"],
        "change": _band(figures["effect"], signed=True),
        "gains": (f"{figures['effect']['own']:+.3g}", f"{figures['effect']['other']:+.3g}"),
        "threshold": f"{figures['threshold']:.3g}",
        "reloads": ", ".join(f"{reading:.3g}" for reading in figures["reloads"]),
        "facts": _measured_with(probe),
    } | _readings(probe)


def _readings(probe: Probe) -> dict[str, Any]:
    """The drift of each prompt as a chart, or what is wrong with the files."""
    try:
        found = sorted(selectors.readings(probe), key=lambda one: -one["adapter_kl"])
    except ArtefactDamaged as damaged:
        return {"damaged": damaged.message}
    limit = probe.figures["threshold"]
    title = charts.drift_title(found, limit)
    return {"chart": Figure("drift", title, charts.drift(found, limit), charts.drift_table(found))}


def _band(interval: dict[str, float], *, signed: bool = False) -> str:
    style = "+.3g" if signed else ".3g"
    told = [format(interval[name], style).replace("-", formatting.MINUS) for name in ("mean", "low", "high")]
    return f"{told[0]} [{told[1]}, {told[2]}]"


def _measured_with(probe: Probe) -> list[tuple[str, Any]]:
    figures, told = probe.figures, probe.told
    rows: list[tuple[str, Any]] = [
        ("Prompts", f"{formatting.number(figures['prompts'])} of {probe.golden}, seed {probe.settings['seed']}"),
        ("Tokens of their answers", formatting.number(figures["tokens"])),
        ("Device", {"cuda": "GPU", "cpu": "CPU"}.get(probe.device, probe.device)),
    ]
    if told.get("left_out"):
        rows.append(("Left out, too long", formatting.number(told["left_out"])))
    if told.get("seconds"):
        rows.append(("It took", formatting.duration(told["seconds"])))
    if packages := told.get("packages"):
        rows.append(("Measured with", ", ".join(f"{name} {version}" for name, version in packages.items())))
    return rows
