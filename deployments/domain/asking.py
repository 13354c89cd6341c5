"""What an address of the lineage asks for: which nodes, how they are drawn, and which one is looked at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlencode

from projects.domain.graph import links


class Params(Protocol):
    def get(self, name: str, default: str = "") -> str | None: ...

    def getlist(self, name: str) -> list[str]: ...


@dataclass(frozen=True)
class Asked:
    """`focus` is one node with its family, `live` what is live with its ancestors; `fold` draws siblings as one."""

    focus: str = ""
    live: bool = False
    kinds: frozenset[str] = frozenset()
    fold: bool = True
    opened: tuple[str, ...] = ()
    node: str = ""

    def query(self, **changes: object) -> str:
        """The address that asks for the same with these changes, beginning with a question mark."""
        it = replace(self, **changes)  # type: ignore[arg-type]
        told: list[tuple[str, str]] = [("focus", it.focus)] if it.focus else []
        told += [("ask", "live")] if it.live else []
        told += [("kind", kind) for kind in sorted(it.kinds)]
        told += [] if it.fold else [("fold", "0")]
        told += [("open", group) for group in it.opened]
        told += [("node", it.node)] if it.node else []
        return f"?{urlencode(told, safe=':')}"


LONGEST, MOST_OPENED = 80, 40


def read(params: Params) -> Asked:
    """Nonsense asks for nothing; an unknown node is said to be unknown by whoever looks for it."""
    opened = [group for group in dict.fromkeys(params.getlist("open")) if 0 < len(group) <= LONGEST]
    return Asked(
        focus=_name(params.get("focus")),
        live=params.get("ask") == "live",
        kinds=frozenset(_name(kind) for kind in params.getlist("kind")) - {""},
        fold=params.get("fold") != "0",
        opened=tuple(opened[:MOST_OPENED]),
        node=_name(params.get("node")),
    )


def _name(value: str | None) -> str:
    value = value or ""
    return value if len(value) <= LONGEST and value.isprintable() else ""


@dataclass(frozen=True)
class Nearest:
    """The nodes that are drawn when there are too many for one drawing."""

    nodes: frozenset[str]
    cut: int = 0


def nearest(starts: Iterable[str], nodes: Mapping[str, object], edges: Iterable[tuple[str, str]], most: int) -> Nearest:
    """At most so many nodes, by distance from the starts over edges in either direction, parents first."""
    if len(nodes) <= most:
        return Nearest(frozenset(nodes))
    parents, children = links(edges)
    wave = [node for node in dict.fromkeys(starts) if node in nodes][:most]
    seen = dict.fromkeys(wave)
    while wave and len(seen) < most:
        onward = [other for node in wave for other in (*parents.get(node, ()), *children.get(node, ()))]
        wave = [node for node in dict.fromkeys(onward) if node in nodes and node not in seen][: most - len(seen)]
        seen |= dict.fromkeys(wave)
    return Nearest(frozenset(seen), len(nodes) - len(seen))
