"""The form that says what the columns, turns and roles of a file are in our words, and its preview."""

from collections.abc import Iterator
from typing import Any

from datasets_app.domain import fixes
from datasets_app.domain.codes import Code, explain
from datasets_app.domain.formats import grouping
from datasets_app.domain.formats import mapping as naming
from datasets_app.domain.formats.base import BadRecord, Format, Record, Row
from datasets_app.domain.formats.convert import convert_all
from datasets_app.domain.formats.detect import detect
from datasets_app.models import Upload
from datasets_app.pages.rows import shown_row
from datasets_app.pages.words import format_name
from projects.domain.errors import Invalid

Choices = list[tuple[str, str]]
MOST_SHOWN = 60


def mapping_rows(upload: Upload) -> list[dict[str, Any]]:
    """One line of the form for each column, unknown key of a turn and role of the file; none when they are unknown."""
    head, said = upload.head or {}, upload.mapping or guessed(upload)
    rows = []
    for theirs, example in (head.get("columns") or [])[:MOST_SHOWN]:
        chosen = (said.get("columns") or {}).get(theirs, theirs)
        rows.append(_row("column", theirs, chosen or "-", _columns(theirs), example=example))
    unknown = [key for key in head.get("turns") or [] if key not in naming.TURN_KEYS]
    for theirs in unknown[:MOST_SHOWN]:
        chosen = (said.get("turns") or {}).get(theirs, theirs)
        rows.append(_row("turn", theirs, chosen, _same(theirs, naming.TURN_KEYS), note="in each turn"))
    for theirs in (head.get("roles") or [])[:MOST_SHOWN]:
        chosen = (said.get("roles") or {}).get(theirs, theirs)
        if theirs not in naming.KNOWN_ROLES or chosen != theirs:
            rows.append(_row("role", theirs, chosen, _same(theirs, naming.ROLES), note="a role"))
    return rows


def guessed(upload: Upload) -> dict[str, dict[str, str]]:
    """A mapping to begin with, for a file whose columns are known by none of our names."""
    if upload.error_code not in (Code.FORMAT_UNKNOWN, Code.PROMPT_ONLY):
        return {}
    head, columns = upload.head or {}, dict[str, str]()
    for name, _ in head.get("columns") or []:
        ours = naming.guess(name)
        if ours and ours not in columns.values():
            columns[name] = ours
    turns = {key: naming.GUESSED_TURNS[key] for key in head.get("turns") or [] if key in naming.GUESSED_TURNS}
    roles = {
        name: fixes.ROLE_ALIASES[name.lower()] for name in head.get("roles") or [] if name.lower() in fixes.ROLE_ALIASES
    }
    return {"columns": columns, "turns": turns, "roles": roles}


def _row(kind: str, theirs: str, chosen: str, choices: Choices, *, example: str = "", note: str = "") -> dict[str, Any]:
    name = f"{kind}:{theirs}"
    return {"name": name, "theirs": theirs, "example": example, "note": note, "choices": choices, "chosen": chosen}


def _columns(theirs: str) -> Choices:
    own = [] if theirs in naming.FIELDS else [(theirs, f"{theirs}, as it is")]
    return [*own, *naming.FIELDS.items(), ("-", "Leave it out")]


def _same(theirs: str, names: tuple[str, ...]) -> Choices:
    own = [] if theirs in names else [(theirs, f"{theirs}, as it is")]
    return [*own, *((name, name) for name in names)]


def preview(upload: Upload, forced_format: str, mapping: dict[str, Any]) -> dict[str, Any]:
    """The stored first records, read as the form says: rows as they would be shown, or all their faults."""
    try:
        wanted = naming.checked(mapping)
    except naming.BadMapping as bad:
        raise Invalid(str(bad), code="mapping_invalid", field="mapping") from bad
    records = [naming.apply(record, wanted) for record in (upload.head or {}).get("records") or []]
    found = detect(records)
    fmt = Format(forced_format) if forced_format in list(Format) else found.format
    if fmt is None:
        return {"unknown": explain(found.code)}
    return {"rows": [_shown(made) for made in _converted(records, fmt)], "format_label": format_name(fmt.value)}


def _converted(records: list[dict[str, Any]], fmt: Format) -> Iterator[Row | list[BadRecord]]:
    grouper = grouping.grouper_of(fmt)
    if grouper is None:
        yield from (convert_all(record, fmt) for record in records)
        return
    taken = [one for line, record in enumerate(records) for one in grouper.take(line, record)]
    for one in [*taken, *grouper.finish()]:
        yield [one.bad] if one.bad else convert_all(one.record or {}, fmt)


def _shown(made: Row | list[BadRecord]) -> dict[str, Any]:
    if isinstance(made, list):
        return {"faults": made}
    fields: Record = {name: getattr(made, name) for name in ("messages", "chosen", "rejected", "text", "label")}
    return shown_row(dict(fields))
