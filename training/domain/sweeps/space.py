"""What a sweep varies: values or ranges of knobs, and dataset versions."""

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from projects.domain.errors import Invalid
from training.domain.recipe import KNOB, BadRecipe, check, shown

DATA = "dataset_version"
FIXED = {"method", "cut"}  # what these decide is decided once for a sweep
MOST_DIMENSIONS, MOST_VALUES, MOST_RUNS = 6, 20, 100
MOST_EXTREMES = 64

Params = dict[str, Any]


class BadSpace(Invalid):
    """What cannot be swept."""

    code = "bad_space"


@dataclass(frozen=True)
class Dimension:
    """One knob with the values it takes, or the range it is drawn from (`log`: every magnitude as often)."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False

    @property
    def is_range(self) -> bool:
        return not self.values

    @property
    def whole(self) -> bool:
        return self.name in KNOB and KNOB[self.name].kind == "int"

    @property
    def label(self) -> str:
        return "Data" if self.name == DATA else KNOB[self.name].label

    def draw(self, rng: random.Random) -> Any:
        if self.values:
            return rng.choice(self.values)
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = rng.uniform(low, high)
        return self.settle(math.exp(value) if self.log else value)

    def settle(self, value: float) -> Any:
        """A drawn number as the knob takes it: whole, or of three digits, since nobody means the fourth."""
        bounded = min(max(value, self.low), self.high)
        return round(bounded) if self.whole else float(f"{bounded:.3g}")

    def ends(self) -> tuple[Any, ...]:
        """Between which of its values all the others lie; of a choice all."""
        if self.is_range:
            return (self.settle(self.low), self.settle(self.high))
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)
        return (min(self.values), max(self.values)) if numbers and self.name != DATA else self.values

    def as_dict(self) -> dict[str, Any]:
        if self.values:
            return {"name": self.name, "values": list(self.values)}
        return {"name": self.name, "low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True)
class Space:
    dimensions: tuple[Dimension, ...]

    @property
    def size(self) -> int | None:
        """How many combinations there are; None where a range has any number of them."""
        if any(one.is_range for one in self.dimensions):
            return None
        return math.prod(len(one.values) for one in self.dimensions)

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.dimensions]

    def grid(self) -> list[Params]:
        """Every combination, the last dimension turning fastest."""
        return [
            dict(zip(self.names, values, strict=True))
            for values in itertools.product(*(d.values for d in self.dimensions))
        ]

    def draws(self, count: int, seed: int) -> list[Params]:
        """So many random points, the same for the same seed; none twice as long as there are others."""
        rng, found = random.Random(seed), list[Params]()
        for _ in range(count * 50):
            if len(found) == count:
                break
            point = {one.name: one.draw(rng) for one in self.dimensions}
            if point not in found:
                found.append(point)
        return found

    def extremes(self) -> list[Params]:
        """Corners of the space, between which the dearest point lies."""
        corners = itertools.product(*(d.ends() for d in self.dimensions))
        return [dict(zip(self.names, one, strict=True)) for one in itertools.islice(corners, MOST_EXTREMES)]

    def as_list(self) -> list[dict[str, Any]]:
        return [one.as_dict() for one in self.dimensions]


def read(raw: Any) -> Space:
    """A space from a form, the API or a stored sweep; what cannot be swept is refused with its name."""
    if not isinstance(raw, list | tuple) or not raw:
        raise BadSpace("Say what the sweep varies: at least one setting with two values or a range.", field="space")
    if len(raw) > MOST_DIMENSIONS:
        raise BadSpace(f"A sweep varies at most {MOST_DIMENSIONS} settings at once.", field="space")
    found = tuple(_dimension(one) for one in raw)
    names = [one.name for one in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadSpace(f"“{twice[0]}” is there twice.", field="space")
    return Space(found)


def _dimension(raw: Any) -> Dimension:
    if not isinstance(raw, Mapping) or set(raw) - {"name", "values", "low", "high", "log"}:
        raise BadSpace("Each setting has a name and either values, or low, high and log.", field="space")
    name = raw.get("name")
    if name in FIXED or (name != DATA and name not in KNOB):
        raise BadSpace(f"“{shown(name)}” cannot be swept. Choose a setting of the recipe, or the data.", field="space")
    if raw.get("values"):
        return Dimension(str(name), _values(str(name), raw["values"]))
    return _range(str(name), raw)


def _values(name: str, raw: Any) -> tuple[Any, ...]:
    if not isinstance(raw, list | tuple) or len(raw) > MOST_VALUES:
        raise BadSpace(f"A setting takes at most {MOST_VALUES} values.", field=name)
    values = tuple(_number(name, one) if name == DATA else _knob(name, one) for one in raw)
    plain = [list(value) if isinstance(value, tuple) else value for value in values]
    if len(plain) < 2 or any(one in plain[:at] for at, one in enumerate(plain)):
        raise BadSpace("Give a setting two values or more, each of them once; one alone is fixed.", field=name)
    return tuple(plain)


def _knob(name: str, value: Any) -> Any:
    try:
        return check(KNOB[name], value)
    except BadRecipe as refused:
        raise BadSpace(refused.message, code=refused.code, field=name) from refused


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise BadSpace("Dataset versions are told by their numbers.", field=name)
    return value


def _range(name: str, raw: Mapping[str, Any]) -> Dimension:
    if name not in KNOB or KNOB[name].kind not in {"int", "float"}:
        raise BadSpace(f"“{shown(name)}” has no range. List its values.", field=name)
    low, high, log = _knob(name, raw.get("low")), _knob(name, raw.get("high")), raw.get("log", False)
    if not isinstance(log, bool) or low >= high:
        raise BadSpace("A range has a low end, a higher one, and may be logarithmic.", field=name)
    if log and low <= 0:
        raise BadSpace("A logarithmic range begins above zero.", field=name)
    return Dimension(name, low=low, high=high, log=log)


def written(raw: str, name: str) -> dict[str, Any] | None:
    """A dimension as people write it: “8, 16, 32”, or “1e-5 .. 1e-3 log”; None where nothing is written."""
    text = raw.strip()
    if not text:
        return None
    if ".." not in text:
        return {"name": name, "values": [_spelled(name, part.strip()) for part in text.split(",") if part.strip()]}
    ends, log = text.removesuffix("log").strip(), text.endswith("log")
    low, _, high = ends.partition("..")
    return {"name": name, "low": low.strip(), "high": high.strip(), "log": log}


def _spelled(name: str, text: str) -> Any:
    if name == DATA:
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else text
    if KNOB[name].kind == "bool" and text.lower() in {"yes", "no"}:
        return text.lower() == "yes"
    return text


def spoken(params: Mapping[str, Any], names: Sequence[str] = ()) -> str:
    """“rank 8, learning rate 0.0003”: a point in words, for names and reasons."""
    parts = []
    for name in names or params:
        value = params[name]
        label = "data" if name == DATA else KNOB[name].label.removeprefix("LoRA ").lower()
        parts.append(f"{label} {value:g}" if isinstance(value, int | float) else f"{label} {value}")
    return ", ".join(parts)
