"""How a chat template writes conversations of one shape, learned from probes: fragments around the turns' own words.

Rendering a million rows takes a template engine longer than tokenising them. But two conversations with the same roles
come out of nearly every template as the same fragments around different words. So each shape is rendered a few times
with made-up words; what stands between the words is the plan, which says how to put any row of the shape together.
A template that looks at the words themselves is found out (`ChatTemplate.looks_for`, probes, checks on real rows).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import product
from typing import Any

from datasets_app.engine.chat_template import CLOSE, OPEN, TIMES, Message, Unshowable
from datasets_app.engine.rendering import assistant_turns, wants_marks

FRAGMENT, OPENS, CLOSES = -1, -2, -3  # kinds of parts that are no turn; as in native/bpe.c


class Strip(IntEnum):
    """What a template takes off one end of what a turn says."""

    KEEP = 0
    NEWLINES = 1
    BLANKS = 2


class Mode(IntEnum):
    """What of a row is trained."""

    WHOLE = 0  # every token: plain text
    COMPLETION = 1  # what comes after the question
    MARKED = 2  # the stretches that the template marks
    PAIR = 3  # the two answers of a preference pair


@dataclass(frozen=True, slots=True)
class Part:
    """A fragment (kind FRAGMENT, `text`), a mark, or the words of turn `kind`, stripped left and right."""

    kind: int
    text: str = ""
    left: Strip = Strip.KEEP
    right: Strip = Strip.KEEP


@dataclass(frozen=True, slots=True)
class Shape:
    """The roles of a row's turns, each with whether it counts; for a pair also those of both answers."""

    turns: tuple[tuple[str, int], ...]
    chosen: tuple[tuple[str, int], ...] = ()
    rejected: tuple[tuple[str, int], ...] = ()

    @property
    def is_pair(self) -> bool:
        return bool(self.chosen or self.rejected)


@dataclass(slots=True)
class Plan:
    mode: Mode
    whole: list[Part]  # the row; of a pair the prompt with the chosen answer
    ask: list[Part] = field(default_factory=list)  # the bare question
    other: list[Part] = field(default_factory=list)  # the prompt with the rejected answer
    last_turn_only: bool = False
    silent: bool = False  # the only answer has weight 0

    def sequences(self) -> tuple[list[Part], list[Part], list[Part]]:
        return self.whole, self.ask, self.other


class NoPlan(Exception):
    """The template does not write this shape as fragments around words; such rows are rendered one by one."""


TEXT = Plan(Mode.WHOLE, [Part(0)])
Render = Callable[..., str]


def plan(shape: Shape, render: Render, *, marks_answers: bool) -> Plan:
    """The plan of a shape. Raises NoPlan; Unshowable when no row of the shape can be trained on."""
    try:
        return _pair(shape, render) if shape.is_pair else _chat(shape, render, marks_answers)
    except Unshowable as problem:
        if problem.code == "no_answer":
            raise
        raise NoPlan from problem  # perhaps it dislikes only the probe: the row itself will say


def _chat(shape: Shape, render: Render, marks_answers: bool) -> Plan:
    turns = [{"role": role, "weight": weight} for role, weight in shape.turns]
    answers = assistant_turns(turns)
    roles, count = [role for role, _ in shape.turns], len(turns)
    if wants_marks(turns, answers) and marks_answers:
        marked = _learn(render, roles, range(count))
        if sum(part.kind == OPENS for part in marked) == len(answers):
            return Plan(Mode.MARKED, _only_wanted(marked, [shape.turns[place][1] for place in answers]))
    return Plan(
        Mode.COMPLETION,
        _without_marks(_learn(render, roles, range(count))),
        _without_marks(_learn(render, roles[:-1], range(count - 1), ask=True)) if count > 1 else [],
        last_turn_only=len(answers) > 1,
        silent=shape.turns[-1][1] == 0,
    )


def _pair(shape: Shape, render: Render) -> Plan:
    prompt, chosen, rejected = ([role for role, _ in turns] for turns in (shape.turns, shape.chosen, shape.rejected))
    asked, first, last = len(prompt), len(prompt) + len(chosen), len(prompt) + len(chosen) + len(rejected)
    before = list(range(asked))
    return Plan(
        Mode.PAIR,
        _without_marks(_learn(render, prompt + chosen, range(first))),
        _without_marks(_learn(render, prompt, range(asked), ask=True)),
        _without_marks(_learn(render, prompt + rejected, [*before, *range(first, last)])),
    )


def _without_marks(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if part.kind not in {OPENS, CLOSES}]


def _only_wanted(parts: Sequence[Part], weights: Sequence[int]) -> list[Part]:
    """Without the marks of turns whose weight is 0."""
    kept, turn = [], -1
    for part in parts:
        turn += part.kind == OPENS
        if part.kind in {OPENS, CLOSES} and not weights[turn]:
            continue
        kept.append(part)
    return kept


# Learning from probes


def _words(turn: int) -> str:
    """Words that no template contains, with signs that a filter would change."""
    return f"Qx{turn}a <b>&\"'{{}}\\ é\n\nw {turn}bxQ"


# Around the words: from which of these come back one sees what is stripped. Each tells two of the three apart.
PADS = [("", ""), ("\n\n\t", " \n\n"), (" \n\t", "\t\n ")]
LEFT = {Strip.KEEP: "\n\n\t", Strip.NEWLINES: "\t", Strip.BLANKS: ""}
RIGHT = {Strip.KEEP: " \n\n", Strip.NEWLINES: " ", Strip.BLANKS: ""}


def _learn(render: Render, roles: Sequence[str], places: Sequence[int], *, ask: bool = False) -> list[Part]:
    """The parts of what the template makes of these roles; `places` are the turns' numbers in the row."""
    plain, padded, other = (_probe(render, roles, pad, ask) for pad in PADS)
    order, fragments = _take_apart(plain, len(roles))
    strips = _strips(padded, order, fragments)
    parts = _marks_apart(fragments[0])
    for turn, (left, right), fragment in zip(order, strips, fragments[1:], strict=True):
        parts += [Part(turn, left=left, right=right), *_marks_apart(fragment)]
    said = [PADS[2][0] + _words(turn) + PADS[2][1] for turn in range(len(roles))]
    if write(parts, said, marks=True) != other:
        raise NoPlan
    return [part if part.kind < 0 else Part(places[part.kind], "", part.left, part.right) for part in parts]


def _probe(render: Render, roles: Sequence[str], pad: tuple[str, str], ask: bool) -> str:
    turns = [{"role": role, "content": pad[0] + _words(n) + pad[1]} for n, role in enumerate(roles)]
    return render(turns, None, ask=ask)


def _take_apart(text: str, turns: int) -> tuple[list[int], list[str]]:
    """Which turn's words come in which order, and what stands before, between and after them."""
    found = []
    for turn in range(turns):
        words, at = _words(turn), -1
        while (at := text.find(words, at + 1)) >= 0:
            found.append((at, turn, len(words)))
        if not any(one[1] == turn for one in found) and f"Qx{turn}a" in text:
            raise NoPlan  # the words are there, but changed
    found.sort()
    if found and Counter(turn for _, turn, _ in found).most_common(1)[0][1] > TIMES:
        raise NoPlan  # the template's own bound on what it may write can only be held row by row
    fragments, end = [], 0
    for at, _, length in found:
        fragments.append(text[end:at])
        end = at + length
    return [turn for _, turn, _ in found], [*fragments, text[end:]]


def _strips(text: str, order: Sequence[int], fragments: Sequence[str]) -> list[tuple[Strip, Strip]]:
    """What is stripped from each place where a turn's words stand, read off the padded probe."""
    if not order:
        return []
    gaps, end = [], 0
    for turn in order:
        at = text.find(_words(turn), end)
        if at < 0:
            raise NoPlan
        gaps.append(text[end:at])
        end = at + len(_words(turn))
    gaps.append(text[end:])
    lefts = [_one(fragments[0] + LEFT[strip] == gaps[0] for strip in Strip)]
    rights = []
    for gap, fragment in zip(gaps[1:-1], fragments[1:-1], strict=True):
        both = list(product(Strip, Strip))
        right, left = both[_one(RIGHT[a] + fragment + LEFT[b] == gap for a, b in both)]
        rights.append(right)
        lefts.append(int(left))
    rights.append(Strip(_one(RIGHT[strip] + fragments[-1] == gaps[-1] for strip in Strip)))
    return [(Strip(left), right) for left, right in zip(lefts, rights, strict=True)]


def _one(fits: Any) -> int:
    """The place of the only one that fits."""
    places = [place for place, fit in enumerate(fits) if fit]
    if len(places) != 1:
        raise NoPlan
    return places[0]


def _marks_apart(fragment: str) -> list[Part]:
    parts, text = [], ""
    for char in fragment:
        if char in {OPEN, CLOSE}:
            parts += [Part(FRAGMENT, text)] if text else []
            parts.append(Part(OPENS if char == OPEN else CLOSES))
            text = ""
        else:
            text += char
    return [*parts, Part(FRAGMENT, text)] if text else parts


# Following a plan, as native/bpe.c does


def write(parts: Sequence[Part], said: Sequence[str], *, marks: bool = False) -> str:
    """The text of a sequence, given what each turn says; with its marks when asked for."""
    signs = {OPENS: OPEN, CLOSES: CLOSE} if marks else {}
    return "".join(_written(part, said, signs) for part in parts)


def _written(part: Part, said: Sequence[str], signs: Mapping[int, str]) -> str:
    if part.kind == FRAGMENT:
        return part.text
    if part.kind < 0:
        return signs.get(part.kind, "")
    words = said[part.kind]
    words = _strip(words, part.left, str.lstrip)
    return _strip(words, part.right, str.rstrip)


def _strip(words: str, how: Strip, side: Callable[..., str]) -> str:
    return words if how == Strip.KEEP else side(words, "\n") if how == Strip.NEWLINES else side(words)


def spoken(row: Mapping[str, Any]) -> list[str]:
    """What the turns of a row say, in the order of its segments."""
    turns: list[Message] = [*row["messages"], *(row.get("chosen") or []), *(row.get("rejected") or [])]
    return [turn["content"] for turn in turns]
