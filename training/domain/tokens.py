"""What counted data says about a run: rows it would lose, in numbers and words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from projects.domain.errors import Invalid, Refused
from training.domain.recipe import Cut, Recipe

SEEN_FILE = "seen.json"  # beside the counts: telling rows as the model will see them


def rows_lost(stats: Mapping[str, Any], cut: str) -> int:
    """How many rows a run with this cut policy would leave out."""
    if cut == "drop":
        return int(stats["cut"] + stats["unshowable"] + stats["untrained_short"])
    return int(stats["unshowable"] + stats["untrained"])


def rows_are(count: int) -> str:
    """1 row is, 2 rows are."""
    return "1 row is" if count == 1 else f"{count} rows are"


def check_rows(stats: Mapping[str, Any], recipe: Recipe) -> None:
    """Rows that do not fit need a decision; rows that teach nothing end it here."""
    if stats["rows"] + stats["unshowable"] == 0 or stats["trained_tokens"] == 0:
        raise Refused("Not one token of this data would be trained on.", code="no_trained_tokens")
    if recipe.cut != Cut.REFUSE:
        _check_left(stats, recipe)
    elif stats["cut"]:
        raise Invalid(
            f"{rows_are(stats['cut'])} longer than {recipe.max_length} tokens, and in {stats['answers_cut']} of "
            "them the answer would be cut. Raise the longest row, or decide to leave them out or to cut them.",
            code="cut_undecided",
            field="cut",
        )
    elif stats["unshowable"]:
        first = stats["unshowable_rows"][0]
        raise Invalid(
            f"{stats['unshowable']} of the rows cannot be shown by the base's chat template (row {first['index']}: "
            f"{first['message']}). Clean the data, or decide to leave them out.",
            code="template",
            field="cut",
        )


def decisions(stats: Mapping[str, Any], recipe: Recipe) -> tuple[list[str], Refused | None]:
    """Decisions about rows that are too long under which some are left to train on; where there is none, why."""
    found: list[str] = []
    why: Refused | None = None
    for cut in (Cut.CUT, Cut.DROP):
        try:
            check_rows(stats, replace(recipe, cut=cut))
            found.append(cut.value)
        except Refused as refused:
            why = refused
    return found, None if found else why


def _check_left(stats: Mapping[str, Any], recipe: Recipe) -> None:
    if rows_lost(stats, recipe.cut) >= stats["rows"] + stats["unshowable"]:
        raise Refused(
            f"Not one row is left to train on within {recipe.max_length} tokens. Raise the longest row.",
            code="no_trained_tokens",
        )


@dataclass(frozen=True)
class Loss:
    """One way in which a limit of length spoils rows."""

    title: str
    tone: str
    why: str


LOSSES = {
    "answers_cut": Loss(
        "Answers lose their end",
        "failed",
        "A trainer keeps the start of a row and cuts the rest. The model never sees how these answers end, so it "
        "learns to go on or to break off.",
    ),
    "untrained": Loss(
        "Rows have nothing to train on",
        "failed",
        "Either the question alone fills the whole length, or no turn of the row counts. The time spent on them "
        "teaches nothing.",
    ),
    "cut": Loss(
        "Rows are longer than the limit",
        "attention",
        "Each of them is cut behind its first tokens. A run refuses to start until somebody decides what to do.",
    ),
}
