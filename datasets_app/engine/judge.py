"""From a profile to findings: which rows, how many, and how heavy it weighs."""

from collections import Counter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from datasets_app.domain.findings import (
    ENOUGH_ANSWERS,
    ENOUGH_ROWS,
    JSON_SHARE,
    MOST_CLASSES,
    SENTENCE_SHARE,
    SHAPE_SHARE,
    THIN_CLASS,
    Found,
    Severity,
    about,
)
from datasets_app.domain.quality import Trait
from datasets_app.engine.profile import EXAMPLES, Profile, Values

Rows: TypeAlias = NDArray[np.int64]
SHOWN_ROWS = 1000

DIRECT = {
    Found.EMPTY_ANSWERS: Trait.EMPTY_ANSWER,
    Found.PLACEHOLDER_ANSWERS: Trait.PLACEHOLDER,
    Found.IDENTICAL_PAIR: Trait.SAME_PAIR,
    Found.NOTHING_TRAINED: Trait.UNTRAINED,
    Found.NON_ALTERNATING_TURNS: Trait.NON_ALTERNATING,
    Found.SYSTEM_NOT_FIRST: Trait.SYSTEM_NOT_FIRST,
    Found.NO_USER_TURN: Trait.NO_USER,
    Found.EMPTY_TURNS: Trait.EMPTY_TURN,
    Found.SECRETS: Trait.SECRET,
    Found.PERSONAL_DATA: Trait.PERSONAL,
    Found.ENCODING_DAMAGE: Trait.DAMAGED,
}


class Judgement:
    """All findings of one profile, with every row of each; `findings()` is the form that is stored."""

    def __init__(self, profile: Profile, *, purpose: str, ignored: Counter[str] | None = None) -> None:
        self.profile = profile
        self.purpose = purpose
        self.rows: dict[Found, Rows] = {}
        self.details: dict[Found, dict[str, Any]] = {}
        self.counts: dict[Found, int] = {}
        self._traits = np.frombuffer(profile.traits, dtype=np.int64) if profile.rows else np.zeros(0, np.int64)
        for found, trait in DIRECT.items():
            self._note(found, np.flatnonzero(self._traits & int(trait)))
        self._sensitive()
        self._duplicates()
        self._conflicts()
        self._cut()
        self._json()
        self._classes()
        self._lengths()
        self._size(ignored or Counter())

    def findings(self) -> list[dict[str, Any]]:
        listed = [
            {
                "code": found.value,
                "severity": about(found).severity.value,
                "count": self.counts.get(found, len(rows)),
                "rows": rows[:SHOWN_ROWS].tolist(),
                "detail": self.details.get(found, {}),
            }
            for found, rows in self.rows.items()
        ]
        weight = [s.value for s in Severity]
        return sorted(listed, key=lambda f: (weight.index(f["severity"]), -f["count"]))

    def _note(
        self, found: Found, rows: Rows, detail: dict[str, Any] | None = None, *, count: int | None = None
    ) -> None:
        if len(rows) or count is not None:
            self.rows[found] = rows
            self.details[found] = detail or {}
            if count is not None:
                self.counts[found] = count

    def _sensitive(self) -> None:
        for found, group in ((Found.SECRETS, "secret"), (Found.PERSONAL_DATA, "personal")):
            if found in self.rows:
                kinds = {k.split(":")[1]: n for k, n in self.profile.kinds_of_hits.items() if k.startswith(group)}
                previews = [p for p in self.profile.previews if p["group"] == group][:EXAMPLES]
                self.details[found] = {"kinds": kinds, "previews": previews}

    def _duplicates(self) -> None:
        """Every row but the first of each set of equal ones, in file order."""
        hashes = np.frombuffer(self.profile.row_hash, dtype=np.int64) if self.profile.rows else np.zeros(0, np.int64)
        _, first, inverse, counts = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
        repeats: NDArray[np.bool_] = np.ones(len(hashes), dtype=bool)
        repeats[first] = False
        surplus = np.flatnonzero(repeats)
        pairs = [[int(first[inverse[n]]), int(n)] for n in surplus[:EXAMPLES]]
        largest = int(counts.max()) if len(counts) else 0
        self._note(
            Found.EXACT_DUPLICATES, surplus, {"sets": int((counts > 1).sum()), "largest": largest, "pairs": pairs}
        )

    def _conflicts(self) -> None:
        """Rows whose whole context is shared by a row with another answer."""
        contexts = np.frombuffer(self.profile.context, dtype=np.int64) if self.profile.rows else np.zeros(0, np.int64)
        answers = np.frombuffer(self.profile.answer, dtype=np.int64) if self.profile.rows else np.zeros(0, np.int64)
        if not answers.any():
            return
        pairs = np.unique(np.stack([contexts, answers], axis=1), axis=0)
        values, counts = np.unique(pairs[:, 0], return_counts=True)
        conflicting = values[(counts > 1) & (values != 0)]
        self._note(
            Found.CONFLICTING_ANSWERS, np.flatnonzero(np.isin(contexts, conflicting)), {"prompts": len(conflicting)}
        )

    def _cut(self) -> None:
        """Plainly cut answers, and prose that just stops where the rest of the set ends its sentences."""
        traits = self._traits
        cut = (traits & int(Trait.CUT)) > 0
        prose = (traits & int(Trait.LONG_ANSWER) > 0) & (traits & int(Trait.JSON) == 0)
        stops = prose & (traits & int(Trait.STOPS) > 0)
        if prose.sum() >= ENOUGH_ANSWERS and 1 - stops.sum() / prose.sum() >= SENTENCE_SHARE:
            cut |= stops
        cut |= stops & self._at_the_ceiling()
        self._note(Found.CUT_ANSWERS, np.flatnonzero(cut))

    def _at_the_ceiling(self) -> NDArray[np.bool_]:
        """Answers that share the greatest length of all: a limit of characters was at work."""
        lengths = (
            np.frombuffer(self.profile.answer_chars, dtype=np.int64) if self.profile.rows else np.zeros(0, np.int64)
        )
        longest = lengths.max(initial=0)
        same = lengths == longest
        return (
            same if longest >= 100 and same.sum() >= max(5, len(lengths) // 200) else np.zeros(len(lengths), dtype=bool)
        )

    def _json(self) -> None:
        answered = self._traits & int(Trait.HAS_ANSWER) > 0
        is_json = self._traits & int(Trait.JSON) > 0
        if answered.sum() < ENOUGH_ANSWERS or is_json.sum() / answered.sum() < JSON_SHARE:
            return
        other = answered & ~is_json
        if Found.CUT_ANSWERS in self.rows:
            other[self.rows[Found.CUT_ANSWERS]] = False  # one row, one reason
        self._note(
            Found.ANSWER_NOT_JSON,
            np.flatnonzero(other),
            {"json_share": round(float(is_json.sum() / answered.sum()), 4)},
        )
        self._shapes(int(is_json.sum()))

    def _shapes(self, answers: int) -> None:
        shape = np.frombuffer(self.profile.shape, dtype=np.int64)
        counts = Counter(shape[shape >= 0].tolist())
        if not counts:
            return
        usual, n = counts.most_common(1)[0]
        if n / answers < SHAPE_SHARE:
            return
        names = {number: list(shape) for shape, number in self.profile.shapes.items()}
        others = [[names.get(number, ["…"]), k] for number, k in counts.most_common(6)[1:]]
        rows = np.flatnonzero((shape >= 0) & (shape != usual))
        self._note(Found.ANSWER_JSON_SHAPE, rows, {"usual": names.get(usual, []), "others": others})

    def _classes(self) -> None:
        thin: list[dict[str, Any]] = []
        rows: set[int] = set()
        for source, values in distributions(self.profile):
            typical = float(np.median(list(values.counts.values())))
            for value, n in values.counts.items():
                if n < min(THIN_CLASS, typical / 4):
                    thin.append({"source": source, "value": value, "rows": n})
                    rows.update(values.first[value])
        if thin:
            listed = np.array(sorted(rows), dtype=np.int64)
            self._note(Found.THIN_CLASSES, listed, {"classes": sorted(thin, key=lambda c: c["rows"])[:50]})

    def _lengths(self) -> None:
        """Beyond three interquartile ranges above the third quartile of log length, and four times the median."""
        if self.profile.rows < ENOUGH_ANSWERS:
            return
        chars = lengths(self.profile)
        logs = np.log1p(chars)
        low, middle, high = np.quantile(logs, [0.25, 0.5, 0.75])
        bound = max(np.expm1(high + 3 * (high - low)), 4 * np.expm1(middle))
        self._note(
            Found.LENGTH_OUTLIERS,
            np.flatnonzero(chars > bound),
            {"longer_than": int(bound), "median": int(np.expm1(middle))},
        )

    def _size(self, ignored: Counter[str]) -> None:
        enough = ENOUGH_ROWS.get(self.purpose, 0)
        if self.profile.rows < enough:
            self._note(Found.FEW_ROWS, np.zeros(0, np.int64), {"rows": self.profile.rows, "enough": enough}, count=0)
        if ignored:
            fields = [[name, n] for name, n in ignored.most_common(30)]
            self._note(Found.IGNORED_FIELDS, np.zeros(0, np.int64), {"fields": fields}, count=0)


def lengths(profile: Profile) -> NDArray[np.int64]:
    """Characters of each row, prompt and answer together."""
    if not profile.rows:
        return np.zeros(0, np.int64)
    prompts = np.frombuffer(profile.prompt_chars, dtype=np.int64)
    return prompts + np.frombuffer(profile.answer_chars, dtype=np.int64)


def distributions(profile: Profile) -> list[tuple[str, Values]]:
    """What works as a label in this set: the label column, else fields of JSON answers, else short answers."""

    def is_label(values: Values, share: float) -> bool:
        kinds = len(values.counts)
        return 2 <= kinds <= min(MOST_CLASSES, max(2, values.seen // 3)) and values.seen >= share * profile.rows

    if is_label(profile.labels, 0.5):
        return [("label", profile.labels)]
    fields = [(f"answer.{name}", values) for name, values in profile.json_fields.items() if is_label(values, 0.5)]
    if fields:
        return fields[:6]
    return [("answer", profile.answers)] if is_label(profile.answers, 0.8) else []
