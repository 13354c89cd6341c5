"""What an address asks for, before anybody reads it."""

from collections.abc import Iterable, Sequence

from projects.domain.errors import Invalid


def refuse_nul(query: Iterable[tuple[str, Sequence[str]]]) -> None:
    """U+0000 stands in no text that is kept, and PostgreSQL breaks off when it is asked for it; names with values."""
    for name, values in query:
        if any("\x00" in text for text in (name, *values)):
            shown = name.replace("\x00", "")[:40]
            raise Invalid(f"“{shown}” holds the character U+0000, which no text has.", code="invalid", field=shown)
