"""What can be done with one setting of another tool, as rules that its dialect puts into a table."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from training.domain import recipe as recipes
from training.domain.dialects.notes import Kind, Note, Reading
from training.domain.knobs import ALL_LINEAR, SCHEDULERS
from training.domain.recipe import KNOB, BadRecipe, shown

SECRET = re.compile(r"(^|_)(token|secret|password|api_key)$")  # what stands there is nobody's to read

Rule = Callable[["Work", str, Any], None]


class Work:
    """A spec while it is read: what it says, and the reading that comes of it."""

    def __init__(self, reading: Reading, given: Mapping[str, Any], gpus: int) -> None:
        self.reading, self.given, self.gpus = reading, given, gpus

    def note(self, kind: Kind, key: str, value: Any, text: str, **more: Any) -> None:
        quoted = "…" if SECRET.search(key) and value else told(value)
        self.reading.notes.append(Note(kind, key, quoted, text, **more))

    def set(self, knob: str, key: str, value: Any, text: str = "", kind: Kind = Kind.TAKEN) -> None:
        """Give a knob its value, by the reader that pages and API use; what it refuses is refused here."""
        try:
            checked = recipes.check(KNOB[knob], value)
        except BadRecipe as bad:
            self.note(Kind.REFUSED, key, self.given.get(key, value), bad.message, knob=knob, code=bad.code,
                      may_be_left_out=True)  # fmt: skip
            return
        self.reading.recipe[knob] = checked
        self.note(kind, key, self.given.get(key, value), text or f"{KNOB[knob].label}: {told(checked)}", knob=knob)

    def translate(self, knob: str, key: str, value: Any, text: str) -> None:
        self.set(knob, key, value, text, Kind.TRANSLATED)

    def ignore(self, key: str, value: Any, meaning: str) -> None:
        self.note(Kind.IGNORED, key, value, meaning)

    def agree(self, key: str, value: Any, text: str) -> None:
        self.note(Kind.TAKEN, key, value, text)

    def refuse(self, key: str, value: Any, text: str, code: str = "unsupported", leave_out: bool = True) -> None:
        self.note(Kind.REFUSED, key, value, text, code=code, may_be_left_out=leave_out)


def told(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        parts = [told(part) for part in value[:6]]
        return ", ".join(parts) + (" …" if len(value) > 6 else "")
    if isinstance(value, dict):
        return shown("; ".join(f"{key}: {told(part)}" for key, part in list(value.items())[:4]))
    return "nothing" if value is None else shown(value)


# Rules


def same(knob: str) -> Rule:
    """Their setting is ours."""
    return lambda work, key, value: work.set(knob, key, value)


def no_effect(meaning: str) -> Rule:
    """Nothing here does this; what that means for the result."""
    return lambda work, key, value: work.ignore(key, value, meaning)


def fixed(expected: tuple[Any, ...], agrees: str, meaning: str) -> Rule:
    """Here it is always so: the same, or without effect and what that means."""

    def rule(work: Work, key: str, value: Any) -> None:
        if value in expected and isinstance(value, bool) in {isinstance(one, bool) for one in expected}:
            work.agree(key, value, agrees)
        else:
            work.ignore(key, value, meaning)

    return rule


def never(text: str, *, code: str = "unsupported", fine: tuple[Any, ...] = (False, None), agrees: str = "") -> Rule:
    """Refused, unless it is switched off."""

    def rule(work: Work, key: str, value: Any) -> None:
        if any(value is one or (type(value) is type(one) and value == one) for one in fine):
            work.agree(key, value, agrees or "Off, as always here.")
        else:
            work.refuse(key, value, text, code)

    return rule


def only(expected: tuple[Any, ...], agrees: str, text: str, *, code: str, leave_out: bool = False) -> Rule:
    """One of these values, or refused."""

    def rule(work: Work, key: str, value: Any) -> None:
        if value in expected:
            work.agree(key, value, agrees)
        else:
            work.refuse(key, value, text, code, leave_out)

    return rule


def switch(knob: str, on: Any, off: Any, *, text_on: str, text_off: str) -> Rule:
    """A yes or no of theirs that is one of several values here."""

    def rule(work: Work, key: str, value: Any) -> None:
        if not isinstance(value, bool):
            work.refuse(key, value, f"“{key}” is yes or no. Write true or false.", "not_a_boolean")
        else:
            work.translate(knob, key, on if value else off, text_on if value else text_off)

    return rule


def scheduler(work: Work, key: str, value: Any) -> None:
    if value in SCHEDULERS:
        work.set("scheduler", key, value)
    else:
        work.refuse(
            key, value, f"The learning rate follows one of {', '.join(SCHEDULERS)} here. Choose the nearest.",
            "unknown_choice",
        )  # fmt: skip


def warmup(work: Work, key: str, value: Any) -> None:
    """A share of the steps; newer libraries take a number below one under the name of the steps."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if key == "warmup_ratio" or number == 0 or (number is not None and 0 < number < 1):
        work.set("warmup", key, value)
    else:
        work.refuse(
            key, value,
            "The warm-up is a share of all steps here. Divide by the number of steps and write it as warmup_ratio: "
            "0.03 is the usual.",
            "steps_not_share",
        )  # fmt: skip


def saving(work: Work, key: str, value: Any) -> None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        work.set("checkpoint_steps", key, value)
    else:
        work.ignore(key, value, "Checkpoints are whole numbers of steps apart, or saved every five minutes as now.")


def save_strategy(work: Work, key: str, value: Any) -> None:
    """YAML 1.1 reads “no” as false."""
    if value == "steps":
        work.agree(key, value, "By steps, if save_steps says how many; else every five minutes.")
    else:
        work.ignore(key, value, "A run always saves: every five minutes unless save_steps says otherwise.")


def looks(work: Work, key: str, value: Any) -> None:
    """YAML 1.1 reads “no” as false."""
    if value in ("no", False, None):
        work.agree(key, value, "No rows are held out, unless you choose validation data.")
    else:
        work.ignore(
            key, value,
            "With validation data, looks come before the first step, at even distances, with every checkpoint and at "
            "the end. Without, there are none.",
        )  # fmt: skip


def held_out_share(work: Work, key: str, value: Any) -> None:
    """A part of the rows that the tool puts aside by itself."""
    if value in (0, 0.0, None) and not isinstance(value, bool):
        work.agree(key, value, "No part of the data is put aside.")
        return
    part = f"{value:.0%} of the rows" if isinstance(value, float) and value < 1 else f"{told(value)} rows"
    work.ignore(
        key, value,
        f"A run does not split its data, so these {part} would be trained on. Split the version (“Split into parts”), "
        "train on the larger part and choose the smaller one as validation data.",
    )  # fmt: skip


def max_steps(work: Work, key: str, value: Any) -> None:
    if value in {None, -1, 0} and not isinstance(value, bool):
        work.agree(key, value, "No fixed number of steps: epochs count.")
    else:
        work.refuse(
            key, value,
            "Runs are measured in epochs here. Write the epochs instead: steps × rows a step ÷ rows of the data.",
            "steps_not_epochs",
        )  # fmt: skip


def modules(everything: tuple[str, ...]) -> Rule:
    """Names of layers, as a list or a text with commas; “all” in their words is all-linear here."""

    def rule(work: Work, key: str, value: Any) -> None:
        names = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if isinstance(names, list) and len(names) == 1 and names[0] in everything:
            work.set("target_modules", key, ALL_LINEAR)
        else:
            work.set("target_modules", key, names)

    return rule


def named(attribute: str, text: str) -> Rule:
    """What the spec names and a person chooses here: base, data, parent."""

    def rule(work: Work, key: str, value: Any) -> None:
        parts = value if isinstance(value, list) else [value]
        names = [str(part.get("path") or part.get("name") or "") if isinstance(part, dict) else told(part)
                 for part in parts[:3]]  # fmt: skip
        found = ", ".join(name for name in names if name)[:200]
        if value not in (None, "", []) and not getattr(work.reading, attribute):
            setattr(work.reading, attribute, found)
        work.note(Kind.TRANSLATED, key, found or value, text)

    return rule


def table(rule: Rule, keys: str) -> dict[str, Rule]:
    """The same rule for several keys, written as words."""
    return dict.fromkeys(keys.split(), rule)
