"""The numbers a version's charts are drawn from."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain.quality import Trait
from datasets_app.engine.judge import distributions
from datasets_app.engine.profile import Profile

BINS = 24


def summary(profile: Profile) -> dict[str, Any]:
    prompts = np.frombuffer(profile.prompt_chars, dtype=np.int64) if profile.rows else np.zeros(0, np.int64)
    answers = np.frombuffer(profile.answer_chars, dtype=np.int64) if profile.rows else np.zeros(0, np.int64)
    return {
        "rows": profile.rows,
        "kind": profile.kind.value if profile.kind else "",
        "chars": {"prompt": _spread(prompts), "answer": _spread(answers), "total": int(prompts.sum() + answers.sum())},
        "turns": _counted(profile.turns),
        "roles": dict(profile.roles),
        "labels": [
            {"source": source, "counts": values.counts.most_common(60), "rows": values.seen}
            for source, values in distributions(profile)
        ],
        "tags": profile.tags.most_common(60),
        "systems": [[text, n] for text, n in profile.systems.most_common(3)],
        "system_prompts": len(profile.systems),
        "rows_with_tools": profile.with_tools,
        "json_share": round(profile.share(Trait.JSON, Trait.HAS_ANSWER), 4),
        "distinct_rows": len(set(profile.row_hash)),
    }


def _counted(turns: Any) -> list[list[int]]:
    """[turns, rows], with everything beyond twelve turns under twelve."""
    counts = Counter(min(int(n), 12) for n in turns)
    return [[n, counts[n]] for n in sorted(counts)]


def _spread(values: NDArray[np.int64]) -> dict[str, Any]:
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
