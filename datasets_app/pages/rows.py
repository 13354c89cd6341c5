"""Rows as tables and cards show them."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from django.core.paginator import Paginator
from django.http import QueryDict

from datasets_app import selectors
from datasets_app.domain.findings import about
from datasets_app.models import DatasetVersion
from datasets_app.pages.words import ROWS_A_PAGE


def rows_page(version: DatasetVersion, query: QueryDict) -> dict[str, Any]:
    """One page of the rows table: all of them, those that hold a text, or those of one finding."""
    text, code = query.get("q", "").strip()[:200], query.get("finding", "")
    finding = version.findings.filter(code=code).first() if code else None
    leak = (
        version.overlaps.filter(golden_version_id=int(code.removeprefix("overlap-"))).first()
        if _is_leak(code)
        else None
    )
    listed = selectors.found_rows(version, code) if finding else leak.rows if leak else None
    wanted = page_number(query)
    if listed is not None:
        page = Paginator(listed, ROWS_A_PAGE).get_page(wanted)
        rows = selectors.read_rows_at(version, [int(n) for n in page.object_list])
    elif text:
        return _searched(version, text, query)
    else:
        rows, total = selectors.read_rows(version, (wanted - 1) * ROWS_A_PAGE, ROWS_A_PAGE)
        page = Paginator(range(total), ROWS_A_PAGE).get_page(wanted)
    title = about(finding.code).title if finding else f"Also in {leak.golden_version}" if leak else ""
    return {
        "rows": [shown_row(row) for row in rows],
        "page": page,
        "q": text,
        "finding_title": title,
        "finding": code,
        "has_labels": any(row["label"] for row in rows),
    }


def _searched(version: DatasetVersion, text: str, query: QueryDict) -> dict[str, Any]:
    """The next rows that hold the text; where more may follow, the page says so and goes on from there."""
    start, before = page_number(query, "after", 0), page_number(query, "seen", 0)
    hits = selectors.search_rows(version, text, start, ROWS_A_PAGE)
    return {
        "rows": [shown_row(row) for row in hits.rows],
        "q": text,
        "seen": before + len(hits.rows),
        "after": hits.after,
        "searched": True,
        "has_labels": any(row["label"] for row in hits.rows),
    }


def _is_leak(code: str) -> bool:
    number_of = code.removeprefix("overlap-")
    return code != number_of and number_of.isascii() and number_of.isdigit() and len(number_of) < 19


def page_number(query: QueryDict, name: str = "page", usual: int = 1) -> int:
    text = query.get(name, "")
    return max(usual, min(int(text), 10**7)) if text.isascii() and text.isdigit() and len(text) < 9 else usual


def row_page(version: DatasetVersion, index: int) -> dict[str, Any] | None:
    rows = selectors.read_rows_at(version, [index])
    if not rows:
        return None
    hits = [f for f in selectors.findings(version) if _holds(selectors.found_rows(version, f.code), index)]
    return {
        "version": version,
        "dataset": version.dataset,
        "row": shown_row(rows[0]),
        "hits": hits,
        "leaks": [o for o in selectors.overlaps(version) if index in o.rows],
        "previous": index - 1 if index else None,
        "next": index + 1 if index + 1 < version.rows else None,
    }


def _holds(rows: Sequence[int], index: int) -> bool:
    """Whether a row is among the sorted rows of a finding."""
    at = bisect_left(rows, index)
    return at < len(rows) and int(rows[at]) == index


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
