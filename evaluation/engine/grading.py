"""From outputs to scores and summary. No torch here, so a stand-in engine grades as the real one does."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.domain import graders, ranking, statistics

ARMS = ("base", "adapter")


def graded(
    question: Mapping[str, Any], outputs: Mapping[str, str], names: Sequence[str], primary: str
) -> dict[str, Any]:
    """One item as it is stored: prompt, outputs, scores of both arms and what changed."""
    scores = {arm: graders.grade(names, question["expected"], outputs[arm]) for arm in ARMS}
    before, after = (scores[arm][primary] for arm in ARMS)
    return {
        "index": question["index"],
        "row_id": question["row_id"],
        "prompt": question["prompt"],
        "expected": question["expected"],
        "base_output": outputs["base"],
        "adapter_output": outputs["adapter"],
        "scores": scores,
        "change": ranking.change_of(before, after),
        "outcome": ranking.sort_of(before, after, graders.GRADERS[primary]).value,
    }


def summary(items: Sequence[Mapping[str, Any]], names: Sequence[str], primary: str, seed: int) -> dict[str, Any]:
    """Means, paired differences and their intervals, by grader. Shares from 0 to 1."""
    counts = {change.value: sum(item["outcome"] == change.value for item in items) for change in ranking.Change}
    found = {grader.name: _arms(items, grader, seed) for grader in graders.chosen(names)}
    return {
        "n": len(items),
        "primary": primary,
        "graders": {name: figures for name, figures in found.items() if figures},
        "changes": counts,
        "minimum_detectable": round(statistics.minimum_detectable(len(items)), 6),
    }


def _arms(items: Sequence[Mapping[str, Any]], grader: graders.Grader, seed: int) -> dict[str, Any]:
    import numpy

    pairs = [
        (item["scores"]["base"][grader.name], item["scores"]["adapter"][grader.name])
        for item in items
        if grader.name in item["scores"]["base"]
    ]
    if not pairs:
        return {}
    base, adapter = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    interval = statistics.paired_interval(base, adapter, binary=grader.binary, rng=numpy.random.default_rng(seed))
    gains, losses = sum(b < a for b, a in pairs), sum(b > a for b, a in pairs)
    figures: dict[str, Any] = {
        "n": len(pairs),
        "base": sum(base) / len(base),
        "adapter": sum(adapter) / len(adapter),
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
    }
    figures = {name: round(value, 6) for name, value in figures.items()}
    figures |= {"gains": gains, "losses": losses}
    if grader.binary:
        figures["p_value"] = round(statistics.mcnemar(gains, losses), 6)
    return figures


def retention(base: Sequence[float], adapter: Sequence[float], tokens: Sequence[int], seed: int) -> dict[str, Any]:
    """Mean token loss before and after, from each row's summed loss; the interval resamples rows."""
    import numpy

    rng = numpy.random.default_rng(seed)
    before, after, counts = (numpy.asarray(values, dtype=float) for values in (base, adapter, tokens))
    picks = rng.integers(0, len(counts), (2_000, len(counts)))
    changes = after[picks].sum(axis=1) / before[picks].sum(axis=1) - 1
    low, high = numpy.quantile(changes, [0.025, 0.975])
    return {
        "rows": len(counts),
        "tokens": int(counts.sum()),
        "base_loss": round(float(before.sum() / counts.sum()), 6),
        "adapter_loss": round(float(after.sum() / counts.sum()), 6),
        "change_percent": round(float(after.sum() / before.sum() - 1) * 100, 4),
        "low": round(float(low) * 100, 4),
        "high": round(float(high) * 100, 4),
    }
