"""What makes a node of the lineage stale, and how that travels to everything that descends from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from projects.domain.graph import Graph


class Cause(StrEnum):
    WITHDRAWN = "withdrawn"
    LICENCE = "licence"
    CONTAMINATED = "contaminated"
    ERASED = "erased"


WORDS: Mapping[str, str] = {
    Cause.WITHDRAWN: "withdrawn",
    Cause.LICENCE: "licence withdrawn",
    Cause.CONTAMINATED: "found contaminated",
    Cause.ERASED: "holds erased rows",
}
# A second person may find out better; that rows were erased for somebody stays true.
BY_PEOPLE = (Cause.WITHDRAWN, Cause.LICENCE, Cause.CONTAMINATED)


@dataclass(frozen=True)
class Mark:
    """Something wrong with one node. `stops` are nodes known to be free of it: it travels neither to nor through them.

    `decided` marks bind people: nothing new is trained on what carries one, and it passes no gate.
    """

    node: str
    code: str
    reason: str
    since: datetime | None = None
    by: str = ""
    stops: frozenset[str] = frozenset()
    decided: bool = True

    @property
    def words(self) -> str:
        return WORDS.get(self.code, self.code)


def spread(graph: Graph, marks: Iterable[Mark]) -> dict[str, list[Mark]]:
    """The marks that every stale node carries, its own first."""
    own: dict[str, list[Mark]] = {}
    inherited: dict[str, list[Mark]] = {}
    for mark in marks:
        own.setdefault(mark.node, []).append(mark)
        # Golden rows in what was only looked at have taught nothing.
        for node in graph.descendants(mark.node, stops=mark.stops, used=mark.code != Cause.CONTAMINATED):
            inherited.setdefault(node, []).append(mark)
    for node, carried in inherited.items():
        own.setdefault(node, []).extend(carried)
    return own
