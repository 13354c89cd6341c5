"""Small things that several pages say."""

from datasets_app.domain.findings import Severity
from datasets_app.domain.formats.base import FORMAT_LABELS, Format
from projects.domain.formatting import number

ROWS_A_PAGE = 25
BAD_ROWS_A_PAGE = 50
COUNTABLE = (Severity.ERROR.value, Severity.WARNING.value)


def format_name(name: str) -> str:
    return FORMAT_LABELS[Format(name)][0] if name in list(Format) else name


def rows_in_words(n: int) -> str:
    return "1 row" if n == 1 else f"{number(n)} rows"
