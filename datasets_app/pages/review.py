"""The queue of a review: rows as the person who decides sees them."""

from collections.abc import Sequence
from typing import Any

import orjson

from datasets_app.domain.purposes import Kind
from datasets_app.domain.reviewing import AHEAD, read_scope
from datasets_app.models import DatasetVersion, ReviewItem, ReviewRound
from datasets_app.pages.review_forms import QUEUE_REASONS
from datasets_app.pages.rows import shown_row
from datasets_app.selectors import review as reads
from datasets_app.selectors.findings import FindingView
from projects.models import Project, User

LONG = 2500  # characters of a turn that are shown before it scrolls
PROVENANCE = {
    "origin": "origin",
    "teacher": "written by",
    "licence": "licence",
    "depth": "generation depth",
    "contributor": "contributor",
    "edited_by": "edited by",
}


def list_page(project: Project, user: User, version: DatasetVersion | None) -> dict[str, Any]:
    """Reviews of the project, or of one version, with what waits for the person who looks."""
    rounds = reads.rounds_of(version) if version else reads.rounds(project).order_by("-pk")
    listed = []
    for review in rounds[:100]:
        done = review.items.filter(decided__gte=1).count()
        listed.append(
            {
                "review": review,
                "scope": scope_words(review),
                "done": done,
                "mine": reads.waiting_for(review, user) if review.is_open else 0,
            }
        )
    return {"listed": listed, "version": version}


def scope_words(review: ReviewRound) -> str:
    scope = {name: value for name, value in review.scope.items() if name != "rows"}
    return str(read_scope(scope))


def queue_page(review: ReviewRound, user: User) -> dict[str, Any]:
    return {
        "review": review,
        "version": review.version,
        "dataset": review.version.dataset,
        "left": reads.waiting_for(review, user),
        "skipped": reads.skipped_by(review, user),
        "reasons": QUEUE_REASONS,
        "ahead": AHEAD,
        "person": user.pk,
        "pairs": review.version.kind == Kind.PREFERENCE,
    }


def items_page(
    review: ReviewRound, user: User, items: Sequence[ReviewItem], pending: Sequence[int] = ()
) -> dict[str, Any]:
    return {
        "review": review,
        "entries": [shown_item(item, row, hits) for item, row, hits in reads.shown_items(items)],
        "left": reads.waiting_for(review, user, pending),
        "skipped": reads.skipped_by(review, user),
    }


def shown_item(item: ReviewItem, row: dict[str, Any], hits: list[FindingView]) -> dict[str, Any]:
    """One row of the queue: what was asked, the answer apart from it, and where the row comes from."""
    shown = shown_row(row)
    pair = row["kind"] == Kind.PREFERENCE
    turns = shown["turns"] if pair else shown["turns"][:-1]
    answer = None if pair or not shown["turns"] else shown["turns"][-1]
    return {
        "item": item,
        "row": shown,
        "turns": [with_length(turn) for turn in turns],
        "answer": answer,
        "chosen": shown["chosen_turns"],
        "rejected": shown["rejected_turns"],
        "pair": pair,
        "text": row.get("text"),
        "original": original(row),
        "calls_only": bool(answer and answer["calls"] and not answer["content"]),
        "hits": hits,
        "origin": origin(row),
        "tools": [orjson.dumps(tool, option=orjson.OPT_INDENT_2).decode() for tool in row.get("tools") or []],
    }


def with_length(turn: dict[str, Any]) -> dict[str, Any]:
    return {**turn, "long": len(turn["content"] or "") > LONG}


def original(row: dict[str, Any]) -> str:
    """The text that a fix starts from: the document, the last answer, or the better answer of a pair."""
    if row.get("text") is not None:
        return row["text"]
    turns = row.get("chosen") or row.get("messages") or []
    return (turns[-1]["content"] or "") if turns else ""


def origin(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Provenance as (name, value), in the order people ask for it."""
    known = row.get("provenance") or {}
    if isinstance(known, str):
        known = orjson.loads(known)
    return [(word, str(known[name])) for name, word in PROVENANCE.items() if known.get(name) not in (None, "")]
