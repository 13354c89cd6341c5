"""The numbers a version's charts are drawn from."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain.findings import MOST_CLASSES
from datasets_app.domain.quality import Trait
from datasets_app.engine.gathered import Gathered
from datasets_app.engine.values import Values

BINS = 24
MOST_TURNS = 12


def summary(given: Gathered) -> dict[str, Any]:
    answered = given.has(Trait.HAS_ANSWER)
    json = given.has(Trait.JSON)
    return {
        "rows": given.rows,
        "kind": given.kind,
        "chars": {
            "prompt": _spread(given.prompts),
            "answer": _spread(given.answers),
            "total": int(given.prompts.sum(dtype=np.int64) + given.answers.sum(dtype=np.int64)),
        },
        "turns": _counted(given.turns),
        "labels": [
            {"source": source, "counts": values.counts.most_common(60), "rows": values.seen}
            for source, values in distributions(given)
        ],
        "json_share": round(float((json & answered).sum() / answered.sum()), 4) if answered.any() else 0.0,
        "negative_examples": int(given.has(Trait.NEGATIVE).sum()),
        "edge_cases": edge_cases(given),
    }


def edge_cases(given: Gathered) -> dict[str, int]:
    """Rows with a very short prompt, one without a letter, and one four times as long as most."""
    prompts = given.prompts
    long = int((prompts > max(400, 4 * float(np.median(prompts)))).sum()) if given.rows else 0
    odd = given.has(Trait.ODD_PROMPT)
    return {"short": int((given.has(Trait.SHORT_PROMPT) & ~odd).sum()), "odd": int(odd.sum()), "long": long}


def distributions(given: Gathered) -> list[tuple[str, Values]]:
    """What works as a label in this set: the label column, else fields of JSON answers, else short answers."""

    def is_label(values: Values, share: float) -> bool:
        kinds = len(values.counts)
        return 2 <= kinds <= min(MOST_CLASSES, max(2, values.seen // 3)) and values.seen >= share * given.rows

    if is_label(given.labels, 0.5):
        return [("label", given.labels)]
    fields = [(f"answer{path[1:]}", values) for path, values in given.json.fields.items() if is_label(values, 0.5)]
    if fields:
        return fields[:6]
    return [("answer", given.answer_values)] if is_label(given.answer_values, 0.8) else []


def _counted(turns: NDArray[Any]) -> list[list[int]]:
    """[turns, rows], with everything beyond twelve turns under twelve."""
    counts = np.bincount(np.minimum(turns, MOST_TURNS)) if len(turns) else np.zeros(0, np.int64)
    return [[n, int(rows)] for n, rows in enumerate(counts) if rows]


def _spread(values: NDArray[Any]) -> dict[str, Any]:
    if not len(values):
        return {"median": 0, "p95": 0, "longest": 0, "edges": [], "counts": []}
    median, p95 = np.quantile(values, [0.5, 0.95])
    edges = _edges(int(values.min()), int(values.max()))
    counts, _ = np.histogram(values, bins=edges)
    return {
        "median": int(median),
        "p95": int(p95),
        "longest": int(values.max()),
        "edges": [int(e) for e in edges],
        "counts": counts.tolist(),
    }


def _edges(low: int, high: int) -> NDArray[np.int64]:
    """Even bins for lengths of one order, growing ones where a few rows are far longer than most."""
    if high <= max(10, low) * 20:
        edges = np.linspace(low, high + 1, BINS + 1)
    else:
        edges = np.geomspace(max(1, low), high + 1, BINS + 1)
        edges[0] = low
    return np.unique(np.round(edges).astype(np.int64))
