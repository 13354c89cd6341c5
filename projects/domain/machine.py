"""One small state machine, used by every lifecycle in the product."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from projects.domain.errors import Refused

S = TypeVar("S", bound=StrEnum)


class IllegalMove(Refused):
    """The lifecycle has no such step."""

    code = "illegal_transition"


@dataclass(frozen=True)
class Machine(Generic[S]):
    """A lifecycle as a table: from each state, the states that may follow."""

    name: str
    moves: Mapping[S, frozenset[S]]

    def check(self, old: S, new: S) -> None:
        if new not in self.moves[old]:
            raise IllegalMove(f"What is {old.value.replace('_', ' ')} cannot become {new.value.replace('_', ' ')}.")

    def is_final(self, state: S) -> bool:
        return not self.moves[state]

    def mermaid(self) -> str:
        """The table as a Mermaid state diagram, in the order it is written."""
        lines = ["stateDiagram-v2", f"    [*] --> {next(iter(self.moves)).value}"]
        for old, followers in self.moves.items():
            lines += [f"    {old.value} --> {new.value}" for new in sorted(followers)]
            if not followers:
                lines.append(f"    {old.value} --> [*]")
        return "\n".join(lines) + "\n"
