"""How charts of this app spell counts and names."""

from projects.domain import formatting

MOST_BARS = 20


def rows_of(n: int) -> str:
    return "1 row" if n == 1 else f"{formatting.number(n)} rows"


def short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 28 else text[:27] + "…"
