"""What reading a spec of another tool came to: what was taken, translated, left without effect, and refused."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    TAKEN = "taken"
    TRANSLATED = "translated"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True)
class Note:
    """One setting: what it said, and what that means here. A refused one may be left out by a decision, or not."""

    kind: Kind
    key: str
    value: str
    text: str
    knob: str = ""
    code: str = ""
    may_be_left_out: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "key": self.key,
            "value": self.value,
            "text": self.text,
            "knob": self.knob,
            "code": self.code,
            "may_be_left_out": self.may_be_left_out,
        }


@dataclass(frozen=True)
class Batch:
    """Rows between two steps of the optimiser: what has to be equal for two tools to learn the same."""

    per_device: int
    accumulation: int
    gpus: int = 1

    @property
    def rows(self) -> int:
        return self.per_device * self.accumulation * self.gpus

    @property
    def sentence(self) -> str:
        return (
            f"{self.per_device} rows at once × {self.accumulation} accumulated × {self.gpus} GPU = {self.rows} a step"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "per_device": self.per_device,
            "accumulation": self.accumulation,
            "gpus": self.gpus,
            "rows": self.rows,
            "text": self.sentence,
        }


@dataclass
class Reading:
    """A spec as it was understood. `recipe` holds a value for every knob of its method, unless something is refused."""

    dialect: str
    label: str
    notes: list[Note] = field(default_factory=list)
    recipe: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    base: str = ""
    revision: str = ""
    fingerprint: str = ""
    data: str = ""
    content_hash: str = ""
    validation: str = ""
    validation_hash: str = ""
    parent: str = ""

    def of(self, kind: Kind) -> list[Note]:
        return [note for note in self.notes if note.kind == kind]

    @property
    def taken(self) -> list[Note]:
        return self.of(Kind.TAKEN)

    @property
    def translated(self) -> list[Note]:
        return self.of(Kind.TRANSLATED)

    @property
    def ignored(self) -> list[Note]:
        return self.of(Kind.IGNORED)

    @property
    def refused(self) -> list[Note]:
        return self.of(Kind.REFUSED)

    @property
    def removable(self) -> list[str]:
        """Keys that, left out, would let it be read; empty when leaving out is not enough."""
        return [note.key for note in self.refused] if all(note.may_be_left_out for note in self.refused) else []

    @property
    def batch(self) -> Batch | None:
        if not {"batch_size", "accumulation"} <= set(self.recipe):
            return None
        return Batch(self.recipe["batch_size"], self.recipe["accumulation"])
