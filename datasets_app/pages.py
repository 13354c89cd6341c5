"""What the pages show, put together from reads, words and figures."""

from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import QueryDict

from datasets_app import charts, selectors
from datasets_app.domain.codes import HOPELESS, explain
from datasets_app.domain.findings import Severity, about
from datasets_app.domain.formats.base import FORMAT_LABELS, Format
from datasets_app.domain.purposes import PURPOSE_HELP, Purpose
from datasets_app.domain.recipes import describe, read_steps
from datasets_app.models import Dataset, DatasetVersion, Upload
from datasets_app.selectors import FindingView
from projects.contributions import Figure
from projects.domain.formatting import number, percent

ROWS_A_PAGE = 25
BAD_ROWS_A_PAGE = 50
COUNTABLE = (Severity.ERROR.value, Severity.WARNING.value)


def list_page(project: Any, purpose: str) -> dict[str, Any]:
    tabs = [("", "All"), ("training", "Training"), ("golden", "Golden"), ("retention", "Retention")]
    known = purpose if purpose in list(Purpose) else ""
    return {"listed": selectors.dataset_list(project, known), "tabs": tabs, "purpose": known}


def dataset_page(dataset: Dataset) -> dict[str, Any]:
    versions = list(
        dataset.versions.order_by("-number").prefetch_related("findings", "parents").select_related("created_by")
    )
    latest = versions[0] if versions else None
    uploads = dataset.uploads.select_related("version", "uploaded_by").order_by("-pk")[:10]
    return {
        "dataset": dataset,
        "max_bytes": settings.MAX_UPLOAD_BYTES,
        "purpose_help": PURPOSE_HELP[Purpose(dataset.purpose)],
        "verdict": selectors.verdict(dataset, latest),
        "versions": versions,
        "version": latest,
        "uploads": uploads,
        "work": [
            *dataset.uploads.filter(state__in=["queued", "running"]),
            *dataset.builds.filter(state__in=["queued", "running"]),
        ],
        "failed_build": dataset.builds.filter(state="failed", source=latest).order_by("-pk").first(),
        "figures": figures(latest, versions),
        **(judged(latest) if latest else {}),
    }


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


def upload_page(upload: Upload, query: QueryDict) -> dict[str, Any]:
    code = query.get("code", "")
    bad = upload.bad_rows.order_by("line", "pk")
    page = Paginator(bad.filter(code=code) if code else bad, BAD_ROWS_A_PAGE).get_page(query.get("page"))
    return {
        "upload": upload,
        "dataset": upload.dataset,
        "format": format_name(upload.detected_format),
        "codes": selectors.bad_codes(upload),
        "code": code,
        "chosen_code": explain(code) if code else None,
        "page": page,
        "error": explain(upload.error_code) if upload.error_code else None,
        "samples": [shown_row(sample) for sample in upload.samples],
        "headline": headline(upload),
        "version_label": f"Open v{upload.version.number}" if upload.version else "",
        "can_reread": upload.error_code not in HOPELESS,
    }


def headline(upload: Upload) -> str:
    good = "1 good row" if upload.rows_good == 1 else f"{number(upload.rows_good)} good rows"
    return f"{good}, {number(upload.rows_bad)} bad" if upload.rows_bad else good


def format_name(name: str) -> str:
    return FORMAT_LABELS[Format(name)][0] if name in list(Format) else name


def version_page(version: DatasetVersion, query: QueryDict) -> dict[str, Any]:
    return {
        "version": version,
        "dataset": version.dataset,
        "verdict": selectors.verdict(version.dataset, version),
        "figures": figures(version),
        "format": format_name(version.source_format),
        "parents": list(version.parents.select_related("dataset__project")),
        "children": list(version.children.select_related("dataset__project")),
        "steps": recipe_lines(version),
        **judged(version),
        **rows_page(version, query),
    }


def recipe_lines(version: DatasetVersion) -> list[str]:
    steps = (
        read_steps([{k: v for k, v in step.items() if k != "rows"} for step in version.recipe])
        if version.recipe
        else []
    )
    counted = zip(steps, version.recipe, strict=True)
    return [f"{describe(step)}: {rows_in_words(entry.get('rows', 0))}" for step, entry in counted]


def rows_in_words(n: int) -> str:
    return "1 row" if n == 1 else f"{number(n)} rows"


def rows_page(version: DatasetVersion, query: QueryDict) -> dict[str, Any]:
    """One page of the rows table: all of them, those that hold a text, or those of one finding."""
    text, code = query.get("q", "").strip()[:200], query.get("finding", "")
    finding = version.findings.filter(code=code).first() if code else None
    leak = (
        version.overlaps.filter(golden_version_id=int(code.removeprefix("overlap-"))).first()
        if _is_leak(code)
        else None
    )
    listed = finding.rows if finding else leak.rows if leak else None
    wanted = _page_number(query)
    if listed is not None:
        page = Paginator(listed, ROWS_A_PAGE).get_page(wanted)
        rows = selectors.read_rows_at(version, page.object_list)
    else:
        offset = (wanted - 1) * ROWS_A_PAGE
        rows, total = selectors.read_rows(version, offset, ROWS_A_PAGE, text)
        page = Paginator(range(total), ROWS_A_PAGE).get_page(wanted)
    title = about(finding.code).title if finding else f"Also in {leak.golden_version}" if leak else ""
    return {
        "rows": [shown_row(row) for row in rows],
        "page": page,
        "q": text,
        "finding_title": title,
        "has_labels": any(row["label"] for row in rows),
    }


def _is_leak(code: str) -> bool:
    number_of = code.removeprefix("overlap-")
    return code != number_of and number_of.isascii() and number_of.isdigit() and len(number_of) < 19


def _page_number(query: QueryDict) -> int:
    text = query.get("page", "1")
    return max(1, min(int(text), 10**6)) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def row_page(version: DatasetVersion, index: int) -> dict[str, Any] | None:
    rows = selectors.read_rows_at(version, [index])
    if not rows:
        return None
    hits = [f for f in selectors.findings(version) if index in f.rows]
    return {
        "version": version,
        "dataset": version.dataset,
        "row": shown_row(rows[0]),
        "hits": hits,
        "leaks": [o for o in selectors.overlaps(version) if index in o.rows],
        "previous": index - 1 if index else None,
        "next": index + 1 if index + 1 < version.rows else None,
    }


def shown_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row as tables and cards show it: its turns, the last question and the answer."""
    messages = row.get("messages") or []
    chosen, rejected = row.get("chosen") or [], row.get("rejected") or []
    answer = (chosen or messages[-1:]) if messages or chosen else []
    prompt = messages if chosen else messages[:-1]
    question = next((m["content"] for m in reversed(prompt) if m["role"] == "user"), "")
    return {
        **row,
        "question": question or row.get("text") or "",
        "answer": "\n".join(m["content"] or "(tool call)" for m in answer),
        "turns": [_turn(m) for m in messages],
        "chosen_turns": [_turn(m) for m in chosen],
        "rejected_turns": [_turn(m) for m in rejected],
    }


def _turn(message: dict[str, Any]) -> dict[str, Any]:
    calls = [call["function"] for call in message.get("tool_calls", [])]
    extras = {k: message[k] for k in ("name", "thinking", "reasoning_content", "tool_call_id") if k in message}
    return {
        "role": message["role"],
        "content": message["content"],
        "calls": calls,
        "extras": extras,
        "weight": message.get("weight"),
    }
