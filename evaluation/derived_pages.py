"""What pages show of models made of an adapter: beside each other, one of them, and one comparison row by row."""

from typing import Any

from django.core.paginator import Paginator

from evaluation import charts, selectors
from evaluation.domain import diffs
from evaluation.domain.graders import GRADERS
from evaluation.forms import DerivedForm
from evaluation.models import Equivalence
from evaluation.selectors import Standing
from projects.artefacts import ArtefactDamaged
from projects.contributions import Figure
from projects.domain import formatting
from training import selectors as training
from training.models import Adapter, DerivedModel

PER_PAGE = 20
TABS = [
    ("", "Text differs"),
    ("regression", "Regressions"),
    ("gain", "Gains"),
    ("all", "All rows"),
]


def panel(adapter: Adapter, form: DerivedForm | None = None) -> dict[str, Any]:
    """The reference and the three kinds, and whether any of it may still change by itself."""
    standings = selectors.side_by_side(adapter)
    measured = next((one for one in standings if one.result), None)
    ready = [one for one in standings if one.row and one.row.is_ready]
    return {
        "adapter": adapter,
        "standings": standings,
        "reference": measured.lead if measured else None,
        "golden": measured.result.golden if measured and measured.result else None,
        "whole_bytes": adapter.base.size_bytes + adapter.size_bytes,
        "moving": any((one.row and one.row.is_active) or one.at_work for one in standings),
        "ready": ready,
        "unmeasured": [one for one in ready if not one.result and not one.at_work],
        "figure": _forest(standings),
        "form": form or DerivedForm(project=adapter.project),
        "has_golden": selectors.versions(adapter.project, "golden").exists(),
    }


def _forest(standings: list[Standing]) -> Figure | None:
    """Differences to the adapter with their intervals, once there is one."""
    drawn = [(one.place.kind.label, one.lead) for one in standings if one.lead and one.result]
    if not drawn:
        return None
    margin = max(one.result.figures["margin"] for one in standings if one.result)
    title = charts.equivalence_title(drawn, margin)
    return Figure("derived-differences", title, charts.equivalence(drawn, margin), charts.equivalence_table(drawn))


def detail(row: DerivedModel) -> dict[str, Any]:
    """One model: what it is, what its making found, what golden sets said."""
    standing = selectors.standing(row)
    comparisons = list(selectors.equivalences(row.project).filter(derived=row)[:20])
    return {
        "row": row,
        "standing": standing,
        "files": sorted(row.manifest.get("files", {}).items()),
        "facts": facts(row),
        "cost": training.derived_cost(row),
        "comparisons": [(one, selectors.verdict_of(one), selectors.lead_of(one)) for one in comparisons],
        "form": DerivedForm(project=row.project),
        "has_golden": selectors.versions(row.project, "golden").exists(),
    }


def facts(row: DerivedModel) -> list[tuple[str, Any]]:
    """What it was made of and how, as label and value."""
    figures, kind = row.facts.get("figures") or {}, row.read_kind
    if not figures:
        return []
    rows: list[tuple[str, Any]] = [
        ("Numbers of the base", row.facts.get("dtype")),
        ("Parameters", formatting.number(row.facts.get("parameters") or 0)),
        ("Weight files", row.facts.get("shards")),
        ("Adapted layers", figures.get("adapted")),
        ("Adapter found in the weights", _percent(figures.get("share"))),
    ]
    if kind.bits:
        scale = f"a scale for every {kind.group} inputs" if kind.group else "a scale for every row"
        rows += [
            ("Packed layers", f"{figures.get('packed')}, {kind.bits} bits, {scale}"),
            ("Mean error of a packed layer", _percent(figures.get("mean_error"), 2)),
            ("Largest", f"{_percent(figures.get('worst_error'), 2)}, {figures.get('worst_layer')}"),
        ]
    else:
        rows.append(("Lost in rounding", f"{_percent(figures.get('lost_in_rounding'), 2)} of what the adapter adds"))
    for numerics, proof in sorted(row.proofs.items()):
        rows.append((f"Effect kept on the probes, {numerics}", _percent(proof.get("kept"))))
    if seconds := row.told.get("seconds"):
        rows.append(("Made in", formatting.duration(seconds)))
    if packages := row.told.get("packages"):
        rows.append(("Made with", ", ".join(f"{name} {version}" for name, version in packages.items())))
    return rows


def _percent(value: Any, decimals: int = 1) -> str:
    return "–" if value is None else formatting.percent(value, decimals)


def comparison(row: Equivalence, outcome: str, number: Any) -> dict[str, Any]:
    """One comparison with the rows whose answers differ, or with what is wrong with its files."""
    context: dict[str, Any] = {
        "row": row,
        "verdict": selectors.verdict_of(row),
        "lead": selectors.lead_of(row),
        "cost": selectors.equivalence_cost(row),
        "figures": [(GRADERS[name], one) for name, one in (row.figures.get("graders") or {}).items()],
        "facts": _measured_with(row),
    }
    if row.state != "succeeded":
        return context
    try:
        rows = selectors.both_answers(row)
    except ArtefactDamaged as damaged:
        return context | {"damaged": damaged.message}
    kept = [one for one in rows if _is_shown(one, outcome)]
    page = Paginator(kept, PER_PAGE).get_page(number)
    names = [(name, GRADERS[name].label) for name in row.figures["graders"]]
    return context | {
        "page": page,
        "items": [_marked(one, names) for one in page.object_list],
        "outcome": outcome,
        "tabs": [(name, label, sum(_is_shown(one, name) for one in rows)) for name, label in TABS],
    }


def _is_shown(one: dict[str, Any], outcome: str) -> bool:
    if outcome == "all":
        return True
    return one["outcome"] == outcome if outcome else one["adapter_output"] != one["derived_output"]


def _marked(one: dict[str, Any], names: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "item": one,
        "expected": diffs.expected_in_lines(one["expected"]),
        "adapter": diffs.marked(one["expected"], one["adapter_output"]),
        "derived": diffs.marked(one["expected"], one["derived_output"]),
        "scores": [
            (label, one["scores"]["adapter"][name], one["scores"]["derived"][name])
            for name, label in names
            if name in one["scores"]["adapter"]
        ],
    }


def _measured_with(row: Equivalence) -> list[tuple[str, Any]]:
    chosen, told = row.settings, row.told
    rows: list[tuple[str, Any]] = [
        ("Margin", f"{chosen['margin'] * 100:g} points"),
        ("Answers of at most", f"{chosen['max_new_tokens']} tokens, greedy"),
        ("Device", {"cuda": "GPU", "cpu": "CPU"}.get(row.device, row.device) or "–"),
    ]
    if (same := row.figures.get("same_text")) is not None:
        rows.append(
            ("Answers that are the same text", f"{formatting.number(same)} of {formatting.number(row.figures['n'])}")
        )
    seconds, tokens = told.get("seconds") or {}, told.get("tokens") or {}
    for arm, words in (("adapter", "Adapter on its base"), ("derived", "This model")):
        if seconds.get(arm):
            pace = formatting.number(tokens.get(arm, 0) / seconds[arm])
            rows.append((f"{words} answered in", f"{formatting.duration(seconds[arm])}, {pace} tokens/s"))
        if seconds.get(f"load_{arm}"):
            rows.append((f"{words} loaded in", formatting.duration(seconds[f"load_{arm}"])))
    if (proof := told.get("proof") or {}).get("kept") is not None:
        rows.append(("Effect kept on the probes", f"{_percent(proof['kept'])}, {proof.get('numerics')}"))
    if packages := told.get("packages"):
        rows.append(("Measured with", ", ".join(f"{name} {version}" for name, version in packages.items())))
    return rows
