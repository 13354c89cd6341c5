"""Findings and figures of a version, with what to say about each."""

from collections.abc import Sequence
from typing import Any

from datasets_app import charts, selectors
from datasets_app.charts import Quality
from datasets_app.domain.purposes import Purpose
from datasets_app.models import DatasetVersion
from datasets_app.pages.details import detail_lines
from datasets_app.pages.words import COUNTABLE
from projects.contributions import Figure
from projects.domain.formatting import number


def judged(version: DatasetVersion) -> dict[str, Any]:
    """Findings that count, those that are decided, and overlaps, each with what to say and what mends it."""
    leaks = [o for o in selectors.overlaps(version) if o.total] if version.dataset.purpose == Purpose.TRAINING else []
    found: list[dict[str, Any]] = [{"finding": f, "lines": detail_lines(f)} for f in selectors.findings(version)]
    return {
        "leaks": leaks,
        "leaked_ids": [o.golden_version_id for o in leaks],
        "findings": [entry for entry in found if entry["finding"].decided is None],
        "decided": [entry for entry in found if entry["finding"].decided is not None],
        "facts": facts(version, [entry["finding"] for entry in found]),
    }


def facts(version: DatasetVersion, found: Sequence[selectors.FindingView]) -> list[dict[str, Any]]:
    chars = version.stats.get("chars", {})
    to_fix = [f for f in found if f.severity in COUNTABLE and f.decided is None]
    return [
        {"label": "Rows", "value": number(version.rows), "hint": version.get_kind_display()},
        {"label": "Findings", "value": len(to_fix), "hint": "to look at" if to_fix else "nothing to fix"},
        {"label": "Median prompt", "value": number(chars.get("prompt", {}).get("median", 0)), "unit": "characters"},
        {"label": "Median answer", "value": number(chars.get("answer", {}).get("median", 0)), "unit": "characters"},
    ]


def figures(version: DatasetVersion | None, versions: Sequence[DatasetVersion] = ()) -> list[Figure]:
    """What a version is made of; with the versions of its dataset, newest first, also how they have changed."""
    if version is None:
        return []
    stats = version.stats
    drawn: list[Figure | None] = [charts.labels(one, n) for n, one in enumerate(stats.get("labels", []), 1)]
    drawn += [charts.lengths(stats["chars"])] if "chars" in stats else []
    drawn += [charts.turns(stats.get("turns", [])), charts.languages(stats.get("languages", {}).get("rows", []))]
    history = _over_time(versions) if len(versions) > 1 else []
    drawn += [charts.quality(history), charts.diversity(history)]
    return [figure for figure in drawn if figure is not None]


def _over_time(versions: Sequence[DatasetVersion]) -> list[Quality]:
    decided = selectors.standing([versions[0].dataset])
    history = []
    for version in reversed(versions):
        counting = [f for f in selectors.findings(version, decided) if f.decided is None]
        errors, warnings = (sum(f.count for f in counting if f.severity == s) for s in COUNTABLE)
        history.append(
            Quality(f"v{version.number}", version.rows, errors, warnings, version.stats.get("diversity", {}))
        )
    return history
