"""Secrets and personal data in text: patterns of known key formats, and numbers that prove themselves by checksum."""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from datasets_app.domain.sensitive_rules import ADDRESS, KINDS, PERSONAL, RULES, SECRET, Trigger, kind_name

__all__ = ["ADDRESS", "KINDS", "PERSONAL", "SECRET", "Hit", "Trigger", "find", "kind_name", "mask", "masked"]

ALL = Trigger(~0)
# One search that most texts do not pass, before each rule is asked by itself.
_WORTH_A_LOOK = re.compile(r"[0-9]{3}|[0-9]\D{1,2}[0-9]{2}|@|-----BEGIN|[:=]|[A-Za-z0-9_+/=-]{15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Hit:
    group: str
    kind: str
    start: int  # in characters
    end: int
    preview: str


def masked(text: str) -> str:
    """Enough to find the place again, not enough to use it."""
    head = 4 if len(text) >= 12 else 1
    return text[:head] + "…" + f"({len(text)} characters)"


def find(text: str, triggers: Trigger = ALL) -> Iterator[Hit]:
    """Every hit of the rules with these triggers, in the order of the text; where two overlap, the rule named first."""
    if triggers == ALL and not _WORTH_A_LOOK.search(text):
        return iter(())
    starts: list[int] = []
    hits: list[Hit] = []
    for rule in RULES:
        if not rule.trigger & triggers or (rule.marks and not any(mark in text for mark in rule.marks)):
            continue
        for match in rule.pattern.finditer(text):
            found = match.group()
            if rule.proof(found) and rule.setting(match) and _free(starts, hits, match.start(), match.end()):
                at = bisect_left(starts, match.start())
                starts.insert(at, match.start())
                hits.insert(at, Hit(rule.group, rule.kind, match.start(), match.end(), masked(found)))
    return iter(hits)


def mask(text: str, group: str | Collection[str] = SECRET, kinds: Iterable[str] = ()) -> str:
    """The text with every hit of the groups, or of the kinds, replaced by its kind in brackets."""
    groups, wanted = {group} if isinstance(group, str) else set(group), set(kinds)
    for hit in reversed(list(find(text))):
        if hit.kind in wanted if wanted else hit.group in groups:
            text = text[: hit.start] + f"[{hit.kind}]" + text[hit.end :]
    return text


def _free(starts: list[int], hits: list[Hit], start: int, end: int) -> bool:
    """Nothing found so far touches this place."""
    at = bisect_left(starts, start)
    return (at == 0 or hits[at - 1].end <= start) and (at == len(hits) or hits[at].start >= end)
