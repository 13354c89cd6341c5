"""Graders: how one answer is scored against the expected one, and which of them lead for a golden set."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from evaluation.domain import answers, rouge

SHORT_ANSWER = 8  # words; up to here an answer is a label or a fact, and either right or wrong


@dataclass(frozen=True)
class Grader:
    """`score(expected, answer)` is 0 to 1, or None where the grader has nothing to say about this row."""

    name: str
    label: str
    help: str
    binary: bool
    score: Callable[[str, str], float | None]

    @property
    def right_from(self) -> float:
        """From this score on an answer counts as right when people sort answers into right and wrong."""
        return 1.0 if self.binary else 0.5


def exact_match(expected: str, answer: str) -> float:
    if answers.normalised(expected) == answers.normalised(answer):
        return 1.0
    wanted, got = answers.parsed(expected), answers.parsed(answer)
    if wanted is answers.NOT_JSON or got is answers.NOT_JSON:
        return 0.0
    return float(answers.same_json(wanted, got))


def json_valid(expected: str, answer: str) -> float | None:
    if not answers.is_structured(expected):
        return None
    return float(answers.parsed(answer) is not answers.NOT_JSON)


def json_fields(expected: str, answer: str) -> float | None:
    """Equal fields as a share of all on either side: an invented field costs what a missing one does."""
    if not answers.is_structured(expected):
        return None
    got = answers.parsed(answer)
    if not isinstance(got, dict | list):
        return 0.0
    wanted_fields, got_fields = answers.leaves(answers.parsed(expected)), answers.leaves(got)
    equal = sum(
        path in got_fields and answers.same_json(value, got_fields[path]) for path, value in wanted_fields.items()
    )
    return equal / len(wanted_fields.keys() | got_fields.keys())


EXACT_MATCH = Grader(
    "exact_match",
    "Exact match",
    "Share of answers equal to the expected one: as JSON when both are JSON, else as text, spaces evened.",
    True,
    exact_match,
)
JSON_VALID = Grader(
    "json_valid",
    "Valid JSON",
    "Share of answers that parse as JSON, where JSON is expected.",
    True,
    json_valid,
)
JSON_FIELDS = Grader(
    "json_fields",
    "JSON fields",
    "Share of fields that are equal, where JSON is expected; missing and invented fields count against it.",
    False,
    json_fields,
)
ROUGE_L = Grader(
    "rouge_l",
    "ROUGE-L",
    "Overlap of words in the same order with the expected answer, in any script; 100 % is the same words.",
    False,
    rouge.rouge_l,
)
GRADERS: dict[str, Grader] = {grader.name: grader for grader in (EXACT_MATCH, JSON_VALID, JSON_FIELDS, ROUGE_L)}


def chosen(names: Iterable[str]) -> list[Grader]:
    """The graders of these names in the order of the table. A name that does not exist is a KeyError."""
    wanted = {GRADERS[name].name for name in names}
    return [grader for name, grader in GRADERS.items() if name in wanted]


def suggested(expected: Sequence[str]) -> list[str]:
    """The graders that fit: those for JSON only where at least half of the expected answers are JSON."""
    structured = sum(map(answers.is_structured, expected))
    return list(GRADERS) if expected and 2 * structured >= len(expected) else [EXACT_MATCH.name, ROUGE_L.name]


def primary(names: Iterable[str], expected: Sequence[str]) -> str:
    """The grader the verdict is about: exact match for JSON and short answers, word overlap for prose."""
    names = list(names)
    short = bool(expected) and (
        2 * sum(map(answers.is_structured, expected)) >= len(expected)
        or median(len(rouge.tokens(text)) for text in expected) <= SHORT_ANSWER
    )
    order = (
        [EXACT_MATCH, JSON_FIELDS, ROUGE_L, JSON_VALID] if short else [ROUGE_L, EXACT_MATCH, JSON_FIELDS, JSON_VALID]
    )
    return next(grader.name for grader in order if grader.name in names)


def grade(names: Iterable[str], expected: str, answer: str) -> dict[str, float]:
    """Scores by grader; graders that have nothing to say about this row are left out."""
    scores = ((grader.name, grader.score(expected, answer)) for grader in chosen(names))
    return {name: round(score, 6) for name, score in scores if score is not None}
