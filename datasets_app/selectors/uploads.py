"""Uploads and the rows they could not read."""

from dataclasses import dataclass

from datasets_app.domain.codes import explain
from datasets_app.models import Upload


@dataclass(frozen=True)
class BadCode:
    code: str
    title: str
    advice: str
    count: int


def bad_codes(upload: Upload) -> list[BadCode]:
    """The codes of an upload's bad rows with their counts, most frequent first."""
    ordered = sorted(upload.bad_codes.items(), key=lambda pair: -pair[1])
    return [BadCode(code, explain(code).title, explain(code).advice, n) for code, n in ordered]
