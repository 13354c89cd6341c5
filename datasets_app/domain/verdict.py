"""The sentence at the top of a dataset: can it be used, and what comes first if not."""

from collections.abc import Sequence
from dataclasses import dataclass

from datasets_app.domain.findings import Severity, about
from datasets_app.domain.purposes import Purpose

USES = {
    Purpose.TRAINING: "train on",
    Purpose.GOLDEN: "measure with",
    Purpose.RETENTION: "measure forgetting with",
}


@dataclass(frozen=True, slots=True)
class Fact:
    code: str
    severity: str
    count: int


@dataclass(frozen=True, slots=True)
class Leak:
    """Rows that a training version shares with a golden set, by the golden set's name."""

    golden: str
    rows: int


@dataclass(frozen=True, slots=True)
class Verdict:
    tone: str  # green | amber | red | grey
    title: str
    first: str

    @property
    def word(self) -> str:
        return {"green": "Ready", "amber": "Usable", "red": "Not yet", "grey": "Empty"}[self.tone]


def judge(purpose: Purpose, rows: int, facts: Sequence[Fact], leaks: Sequence[Leak] = ()) -> Verdict:
    use = USES[purpose]
    leaks = [leak for leak in leaks if leak.rows]
    if leaks:
        worst = max(leaks, key=lambda leak: leak.rows)
        shared = f"{_rows(worst.rows)} of the golden set “{worst.golden}” {'is' if worst.rows == 1 else 'are'} in it"
        remedy = "Drop the rows that are also golden: an adapter that has seen the answers proves nothing."
        return Verdict("red", f"Do not {use} this yet: {shared}.", remedy)
    errors = [f for f in facts if f.severity == Severity.ERROR]
    if errors:
        worst_fact = max(errors, key=lambda f: f.count)
        found = about(worst_fact.code)
        return Verdict("red", f"Do not {use} this yet: {_named(worst_fact)}.", f"{found.remedy} {found.why}")
    warnings = [f for f in facts if f.severity == Severity.WARNING]
    if warnings:
        first = max(warnings, key=lambda f: f.count)
        more = f", and {len(warnings) - 1} more to look at" if len(warnings) > 1 else ""
        return Verdict("amber", f"You can {use} this; look first at {_named(first)}{more}.", about(first.code).remedy)
    return Verdict("green", f"Ready to {use}: {rows:,} rows, nothing to fix first.".replace(",", "\u202f", 1), "")


def nothing_yet(purpose: Purpose) -> Verdict:
    return Verdict("grey", f"Nothing to {USES[purpose]} yet.", "Upload a file: JSONL, JSON, CSV, TSV or Parquet.")


def _named(fact: Fact) -> str:
    title = about(fact.code).title
    return f"{title[0].lower()}{title[1:]} ({_rows(fact.count)})" if fact.count > 0 else title.lower()


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"
