"""What a list is asked to show only: words and numbers of a query, read once for all lists."""

from collections.abc import Collection
from typing import Any

from projects.domain.errors import Invalid

MOST_DIGITS = 18  # fits the numbers of rows of every database


def one_of(request: Any, name: str, known: Collection[str]) -> str:
    """A filter with a fixed set of words; another word is refused, since it would show everything or nothing."""
    wanted: str = request.query_params.get(name, "")
    if wanted and wanted not in known:
        raise Invalid(f"There is no {name} “{wanted[:40]}”.", code="unknown_state", field=name)
    return wanted


def row_number(request: Any, name: str, thing: str) -> int | None:
    """The number of a row, or None where nothing is asked for; `thing` is what it numbers, as in “A slot”."""
    wanted: str = request.query_params.get(name, "")
    if not wanted:
        return None
    if not wanted.isascii() or not wanted.isdecimal() or len(wanted) > MOST_DIGITS:
        raise Invalid(f"{thing} is given by its number.", code="invalid", field=name)
    return int(wanted)
