"""The page of one finding: why it matters, what was found where, and the rows, side by side where that helps."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from django.core.paginator import Paginator
from django.http import QueryDict

from datasets_app import charts, selectors
from datasets_app.domain import answer_schema, diffing, marking
from datasets_app.domain.findings import Found
from datasets_app.models import DatasetVersion
from datasets_app.pages.details import detail_lines, detail_tables, kinds_of, violation_text
from datasets_app.pages.groups import GROUPED
from datasets_app.pages.rows import page_number, shown_row
from datasets_app.selectors import FindingView
from projects.contributions import Figure

ROWS_A_PAGE, GROUPS_A_PAGE = 10, 5
TURNS_SHOWN = 6
ROWS_AT_ONCE = 500
CARRIED = ("id", "messages", "chosen", "rejected", "text", "label", "tags", "source_id")


def finding_page(version: DatasetVersion, code: str, query: QueryDict) -> dict[str, Any] | None:
    found = selectors.finding(version, code)
    if found is None:
        return None
    return {
        "version": version,
        "dataset": version.dataset,
        "found": found,
        "lines": detail_lines(found),
        "tables": detail_tables(found),
        "figures": _figures(found),
        **_body(version, found, page_number(query)),
    }


def places_in(row: dict[str, Any], found: FindingView) -> list[dict[str, Any]]:
    """The places of a finding in a row: turn, offsets in characters, and what it is; no value of a secret."""
    return [
        {"turn": n, "start": place.start, "end": place.end, "kind": place.label, "shown": place.shown}
        for n, (text, answer) in enumerate(_texts(row))
        for place in marking.places(found.code, text, found.detail, answer=answer)
    ]


def found_lines(version: DatasetVersion, found: FindingView) -> Iterator[bytes]:
    """Every row of a finding as a line of JSON, with its places; a group of the file is read at a time."""
    rows = selectors.found_rows(version, found.code)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        for row in selectors.read_rows_at(version, [int(n) for n in rows[start : start + ROWS_AT_ONCE]]):
            kept = {name: row[name] for name in CARRIED if row.get(name) is not None}
            said = {"row": row["index"], "line": row["line"], "finding": found.code, "places": places_in(row, found)}
            yield orjson.dumps(said | kept) + b"\n"


def _figures(found: FindingView) -> list[Figure]:
    kinds = kinds_of(found)
    if len(kinds) < 2:
        return []
    name, n = kinds[0]
    share = round(100 * n / sum(count for _, count in kinds))
    return [charts.bars("kinds", f"{share} % of what was found is “{name}”", kinds, "Kind", "places")]


def _body(version: DatasetVersion, found: FindingView, wanted: int) -> dict[str, Any]:
    grouped = GROUPED.get(found.code)
    if grouped is not None:
        page = Paginator(grouped(version, found), GROUPS_A_PAGE).get_page(wanted)
        return {"page": page, "groups": _groups(version, list(page.object_list))}
    page_of_rows = Paginator(_Rows(selectors.found_rows(version, found.code)), ROWS_A_PAGE).get_page(wanted)
    rows = selectors.read_rows_at(version, list(page_of_rows.object_list))
    return {"page": page_of_rows, "rows": [_row(row, found) for row in rows]}


class _Rows(Sequence[int]):
    """Indices in a file, sliced into plain numbers."""

    def __init__(self, rows: Sequence[int]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: Any) -> Any:
        return [int(row) for row in self._rows[part]] if isinstance(part, slice) else int(self._rows[part])


def _row(row: dict[str, Any], found: FindingView) -> dict[str, Any]:
    """The turns in which something was found, the rest of the row in short."""
    turns = []
    for (text, answer), role in zip(_texts(row), _roles(row), strict=True):
        places = marking.places(found.code, text, found.detail, answer=answer)
        turns.append({"role": role, "pieces": marking.pieces(text, places), "marked": bool(places), "answer": answer})
    some = any(turn["marked"] for turn in turns)
    kept = [turn for turn in turns if turn["marked"]] if some else turns[-2:]
    shown = kept[:TURNS_SHOWN]
    notes = _violations(row, found) if found.code == Found.ANSWER_JSON_SHAPE else []
    return {"index": row["index"], "line": row["line"], "label": row["label"], "turns": shown, "notes": notes,
            "left_out": len(turns) - len(shown)}  # fmt: skip


def _texts(row: dict[str, Any]) -> list[tuple[str, bool]]:
    """(text, whether it is the answer) of each turn; a document is one text."""
    if row.get("text") is not None:
        return [(row["text"], True)]
    turns, chosen = row.get("messages") or [], row.get("chosen") or []
    last = len(turns) - 1
    return [
        *((turn["content"] or "", not chosen and n == last) for n, turn in enumerate(turns)),
        *((turn["content"] or "", True) for turn in chosen),
        *((turn["content"] or "", False) for turn in row.get("rejected") or []),
    ]


def _roles(row: dict[str, Any]) -> list[str]:
    if row.get("text") is not None:
        return ["document"]
    return [
        *(turn["role"] for turn in row.get("messages") or []),
        *(f"chosen · {turn['role']}" for turn in row.get("chosen") or []),
        *(f"rejected · {turn['role']}" for turn in row.get("rejected") or []),
    ]


def _violations(row: dict[str, Any], found: FindingView) -> list[str]:
    answer = next((text for text, is_answer in reversed(_texts(row)) if is_answer), "")
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return []
    broken = answer_schema.violations(found.detail.get("schema") or {}, value)
    return [violation_text(violation.as_dict()) for violation in broken[:8]]


def _groups(version: DatasetVersion, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of each group side by side with its first: which words differ."""
    wanted = [n for group in groups for n in group["rows"]]
    rows = {row["index"]: row for row in selectors.read_rows_at(version, wanted)}
    shown = []
    for group in groups:
        listed = [rows[n] for n in group["rows"] if n in rows]
        if listed:
            members = [_member(listed[0], other, group) for other in listed[1:]]
            shown.append({**group, "first": shown_row(listed[0]), "members": members})
    return shown


def _member(first: dict[str, Any], other: dict[str, Any], group: dict[str, Any]) -> dict[str, Any]:
    parts = [_shortened(part) for part in diffing.rows(first, other) if part.changed]
    alike = group.get("alike", {}).get(other["index"])
    return {"index": other["index"], "line": other["line"], "alike": alike, "parts": parts}


def _shortened(part: diffing.Part) -> dict[str, Any]:
    """Long stretches that stayed the same are cut down to their ends."""
    pieces = [
        {"kind": piece.kind, "text": _middle(piece.text) if piece.kind == diffing.SAME else piece.text[:2000]}
        for piece in part.pieces
    ]
    return {"where": part.where, "pieces": pieces}


def _middle(text: str) -> str:
    return text if len(text) <= 240 else f"{text[:110]} … {text[-110:]}"
