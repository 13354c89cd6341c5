"""From what was gathered to findings: which rows, how many, and what there is to say about them."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain import answer_schema
from datasets_app.domain.answer_schema import Schema, Violation
from datasets_app.domain.findings import (
    ENOUGH_ANSWERS,
    ENOUGH_FOR_EDGES,
    ENOUGH_ROWS,
    FREE_TEXT,
    JSON_SHARE,
    LABEL_SHARE,
    SENTENCE_SHARE,
    SHARE_OF_EDGES,
    THIN_CLASS,
    Found,
)
from datasets_app.domain.purposes import Kind, Purpose
from datasets_app.domain.quality import Trait
from datasets_app.engine.facts import Facts
from datasets_app.engine.gathered import Gathered
from datasets_app.engine.structure_stats import distributions, edge_cases

DIRECT = {
    Found.EMPTY_ANSWERS: Trait.EMPTY_ANSWER,
    Found.PLACEHOLDER_ANSWERS: Trait.PLACEHOLDER,
    Found.IDENTICAL_PAIR: Trait.SAME_PAIR,
    Found.NOTHING_TRAINED: Trait.UNTRAINED,
    Found.NON_ALTERNATING_TURNS: Trait.NON_ALTERNATING,
    Found.SYSTEM_NOT_FIRST: Trait.SYSTEM_NOT_FIRST,
    Found.NO_USER_TURN: Trait.NO_USER,
    Found.EMPTY_TURNS: Trait.EMPTY_TURN,
}
NOBODY: NDArray[np.int64] = np.zeros(0, np.int64)
MOST_VIOLATIONS, MOST_CLASSES_LISTED = 60, 50


def note_all(facts: Facts, given: Gathered) -> None:
    for found, trait in DIRECT.items():
        facts.note(found, np.flatnonzero(given.has(trait)))
    _cut(facts, given)
    _json(facts, given)
    _classes(facts, given)
    _labels(facts, given)
    _lengths(facts, given)
    _missing_kinds(facts, given)
    enough = ENOUGH_ROWS.get(given.purpose, 0)
    if given.rows < enough:
        facts.note(Found.FEW_ROWS, NOBODY, {"rows": given.rows, "enough": enough}, count=0)


def _cut(facts: Facts, given: Gathered) -> None:
    """Plainly cut answers, and prose that just stops where the rest of the set ends its sentences."""
    cut = given.has(Trait.CUT)
    prose = given.has(Trait.LONG_ANSWER) & ~given.has(Trait.JSON)
    stops = prose & given.has(Trait.STOPS)
    if prose.sum() >= ENOUGH_ANSWERS and 1 - stops.sum() / prose.sum() >= SENTENCE_SHARE:
        cut = cut | stops
    cut = cut | (stops & _at_the_ceiling(given))
    facts.note(Found.CUT_ANSWERS, np.flatnonzero(cut))


def _at_the_ceiling(given: Gathered) -> NDArray[np.bool_]:
    """Answers that share the greatest length of all: a limit of characters was at work."""
    longest = given.answers.max(initial=0)
    same: NDArray[np.bool_] = given.answers == longest
    enough = longest >= 100 and same.sum() >= max(5, given.rows // 200)
    return same if enough else np.zeros(given.rows, dtype=bool)


def _json(facts: Facts, given: Gathered) -> None:
    answered, json = given.has(Trait.HAS_ANSWER), given.has(Trait.JSON)
    if answered.sum() < ENOUGH_ANSWERS or json.sum() / answered.sum() < JSON_SHARE:
        return
    other = answered & ~json
    other[facts.rows_of(Found.CUT_ANSWERS)] = False  # one row, one reason
    detail = {"json_share": round(float(json.sum() / answered.sum()), 4)}
    facts.note(Found.ANSWER_NOT_JSON, np.flatnonzero(other), detail)
    _shapes(facts, given)


def _shapes(facts: Facts, given: Gathered) -> None:
    counts = np.bincount(given.shapes[given.shapes >= 0], minlength=len(given.json.signatures))
    signatures = list(given.json.signatures)
    values = {path: dict(seen.counts) for path, seen in given.json.fields.items() if not seen.gave_up}
    schema = answer_schema.infer(zip(signatures, counts.tolist(), strict=True), values)
    broken = {n: answer_schema.broken_by(schema, one) for n, one in enumerate(signatures)}
    wrong = np.isin(given.shapes, [n for n, found in broken.items() if found])
    problems: Counter[Violation] = Counter()
    examples: dict[Violation, int] = {}
    for n, found in broken.items():
        for violation in found:
            problems[violation] += int(counts[n])
            examples.setdefault(violation, int(np.argmax(given.shapes == n)))
    rows = set(np.flatnonzero(wrong).tolist())
    for violation, where in _other_values(schema, given):
        problems[violation], examples[violation] = len(where), where[0]
        rows.update(where)
    listed = [v.as_dict() | {"rows": n, "row": examples[v]} for v, n in problems.most_common(MOST_VIOLATIONS)]
    usual, others = _fields(signatures, counts)
    detail = {"usual": usual, "others": others, "schema": schema, "violations": listed}
    facts.note(Found.ANSWER_JSON_SHAPE, sorted(rows), detail)
    facts.stats["answer_schema"] = schema


def _other_values(schema: Schema, given: Gathered) -> list[tuple[Violation, list[int]]]:
    """Values that hardly anybody has, in fields that have few."""
    found = []
    for path, rule in schema.items():
        usual = rule.get("values")
        if usual:
            seen = given.json.fields[path]
            rare = [value for value in seen.counts if value not in usual]
            expected = ", ".join(usual[:6])
            found += [(Violation(path, "value", expected, value), seen.first[value]) for value in rare]
    return found


def _fields(
    signatures: list[answer_schema.Signature], counts: NDArray[np.int64]
) -> tuple[list[str], list[tuple[list[str], int]]]:
    """The usual fields of the answers, and the next most frequent sets of fields."""
    tops: Counter[tuple[str, ...]] = Counter()
    for signature, n in zip(signatures, counts.tolist(), strict=True):
        tops[tuple(dict.fromkeys(path[2:] for path, _ in signature if path.startswith("$.") and _is_top(path)))] += n
    ordered = tops.most_common(6)
    return list(ordered[0][0]) if ordered else [], [(list(names), n) for names, n in ordered[1:]]


def _is_top(path: str) -> bool:
    return answer_schema.parent(path) == "$"


def _classes(facts: Facts, given: Gathered) -> None:
    thin: list[dict[str, Any]] = []
    rows: set[int] = set()
    for source, values in distributions(given):
        typical = float(np.median(list(values.counts.values())))
        for value, n in values.counts.items():
            if n < min(THIN_CLASS, typical / 4):
                thin.append({"source": source, "value": value, "rows": n})
                rows.update(values.first[value])
    if thin:
        ordered = sorted(thin, key=lambda c: c["rows"])[:MOST_CLASSES_LISTED]
        facts.note(Found.THIN_CLASSES, sorted(rows), {"classes": ordered})


def _labels(facts: Facts, given: Gathered) -> None:
    missing = len(given.unlabelled)
    if 0 < missing <= (1 - LABEL_SHARE) * given.rows:
        facts.note(Found.MISSING_LABELS, given.unlabelled, {"share": round(1 - missing / given.rows, 4)})


def _lengths(facts: Facts, given: Gathered) -> None:
    """Beyond three interquartile ranges above the third quartile of log length, and four times the median."""
    if given.rows < ENOUGH_ANSWERS:
        return
    chars = given.prompts.astype(np.int64) + given.answers
    logs = np.log1p(chars)
    low, middle, high = np.quantile(logs, [0.25, 0.5, 0.75])
    bound = max(np.expm1(high + 3 * (high - low)), 4 * np.expm1(middle))
    detail = {"longer_than": int(bound), "median": int(np.expm1(middle))}
    facts.note(Found.LENGTH_OUTLIERS, np.flatnonzero(chars > bound), detail)


def _missing_kinds(facts: Facts, given: Gathered) -> None:
    """Rows that say no, and rows at the edges; asked of training sets whose answers are free text."""
    free = given.purpose == Purpose.TRAINING and given.kind != Kind.TEXT and given.rows >= ENOUGH_FOR_EDGES
    if not free or float(np.median(given.answers)) < FREE_TEXT or given.has(Trait.JSON).mean() > 0.5:
        return
    needed = max(2, int(SHARE_OF_EDGES * given.rows))
    negative, edges = int(given.has(Trait.NEGATIVE).sum()), edge_cases(given)
    if negative < needed:
        facts.note(Found.NO_NEGATIVE_EXAMPLES, NOBODY, {"rows": negative, "enough": needed}, count=0)
    if sum(edges.values()) < needed:
        facts.note(Found.NO_EDGE_CASES, NOBODY, {**edges, "enough": needed}, count=0)
