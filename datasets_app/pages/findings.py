"""Findings and figures of a version, with what to say about each."""

from collections.abc import Callable, Sequence
from typing import Any

from datasets_app import charts, selectors
from datasets_app.domain.purposes import Purpose
from datasets_app.models import DatasetVersion
from datasets_app.pages.words import COUNTABLE
from datasets_app.selectors import FindingView
from projects.contributions import Figure
from projects.domain.formatting import number, percent


def judged(version: DatasetVersion) -> dict[str, Any]:
    """Findings and overlaps of a version, each with what to say and the one click that mends it."""
    leaks = (
        [o for o in selectors.overlaps(version) if o.normalised] if version.dataset.purpose == Purpose.TRAINING else []
    )
    return {
        "leaks": leaks,
        "leaked_ids": [o.golden_version_id for o in leaks],
        "findings": [{"finding": f, "lines": detail_lines(f)} for f in selectors.findings(version)],
        "facts": facts(version),
    }


def facts(version: DatasetVersion) -> list[dict[str, Any]]:
    chars = version.stats.get("chars", {})
    to_fix = [f for f in version.findings.all() if f.severity in COUNTABLE]
    return [
        {"label": "Rows", "value": number(version.rows), "hint": version.get_kind_display()},
        {"label": "Findings", "value": len(to_fix), "hint": "to look at" if to_fix else "nothing to fix"},
        {"label": "Median prompt", "value": number(chars.get("prompt", {}).get("median", 0)), "unit": "characters"},
        {"label": "Median answer", "value": number(chars.get("answer", {}).get("median", 0)), "unit": "characters"},
    ]


def figures(version: DatasetVersion | None, versions: Sequence[DatasetVersion] = ()) -> list[Figure]:
    if version is None:
        return []
    stats = version.stats
    drawn: list[Figure | None] = [charts.labels(one, n) for n, one in enumerate(stats.get("labels", []), 1)]
    drawn += [charts.lengths(stats["chars"])] if "chars" in stats else []
    drawn += [charts.turns(stats.get("turns", [])), charts.versions([_over_time(v) for v in reversed(versions)])]
    return [figure for figure in drawn if figure is not None]


def _over_time(version: DatasetVersion) -> tuple[str, int, int, int]:
    errors, warnings = (sum(f.count for f in version.findings.all() if f.severity == s) for s in COUNTABLE)
    return f"v{version.number}", version.rows, errors, warnings


def detail_lines(finding: FindingView) -> list[str]:
    """What a finding knows beyond its count, as sentences."""
    writer = DETAILS.get(finding.code)
    return writer(finding.detail) if writer and finding.detail else []


def _previews(detail: dict[str, Any]) -> list[str]:
    kinds = ", ".join(f"{kind.replace('_', ' ')} × {n}" for kind, n in detail["kinds"].items())
    return [kinds, *[f"Row {p['row']}: {p['preview']}" for p in detail["previews"][:5]]]


def _shapes(detail: dict[str, Any]) -> list[str]:
    others = [f"{number(n)} × {', '.join(names) or 'no fields'}" for names, n in detail["others"]]
    return ["Usual fields: " + ", ".join(detail["usual"]), *others]


def _outliers(detail: dict[str, Any]) -> list[str]:
    longer, median = number(detail["longer_than"]), number(detail["median"])
    return [f"Longer than {longer} characters; the median is {median}."]


DETAILS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "exact_duplicates": lambda d: [f"{number(d['sets'])} sets of equal rows, the largest of {number(d['largest'])}."],
    "conflicting_answers": lambda d: [f"{number(d['prompts'])} prompts with more than one answer."],
    "secrets": _previews,
    "personal_data": _previews,
    "answer_json_shape": _shapes,
    "answer_not_json": lambda d: [f"{percent(d['json_share'])} of the answers are JSON."],
    "thin_classes": lambda d: [f"{c['source']}: “{c['value']}” in {c['rows']} rows" for c in d["classes"][:8]],
    "length_outliers": _outliers,
    "few_rows": lambda d: [f"{number(d['rows'])} rows; from {number(d['enough'])} on the numbers begin to hold."],
    "ignored_fields": lambda d: [", ".join(f"{name} ({number(n)})" for name, n in d["fields"])],
}
