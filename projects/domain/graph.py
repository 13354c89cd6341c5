"""Walking a lineage graph in both directions."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

Links = Mapping[str, list[str]]
Pair = tuple[str, str]


def links(edges: Iterable[Sequence[Any]]) -> tuple[Links, Links]:
    """Parents and children of every node, without repeats, in the order of the edges."""
    parents: dict[str, list[str]] = defaultdict(list)
    children: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        source, target = edge[0], edge[1]
        children[source].append(target)
        parents[target].append(source)
    return _once(parents), _once(children)


def _once(found: dict[str, list[str]]) -> Links:
    for node, others in found.items():
        if len(others) > 1 and len(set(others)) < len(others):
            found[node] = list(dict.fromkeys(others))
    return found


def reachable(starts: Iterable[str], steps: Links, stops: Collection[str] = ()) -> set[str]:
    """Everything found by following `steps`; a start itself only where a cycle leads back to it.

    What is in `stops` is neither found nor gone through.
    """
    seen: set[str] = set()
    waiting = [node for start in starts for node in steps.get(start, ())]
    while waiting:
        node = waiting.pop()
        if node not in seen and node not in stops:
            seen.add(node)
            waiting.extend(steps.get(node, ()))
    return seen


def ancestors(edges: Iterable[Pair], node: str) -> set[str]:
    return Graph(edges).ancestors(node)


def descendants(edges: Iterable[Pair], node: str) -> set[str]:
    return Graph(edges).descendants(node)


def family(edges: Collection[Pair], node: str) -> set[str]:
    return Graph(edges).family(node)


def _beyond(hidden: list[str], children: Links, shown: Collection[str]) -> list[str]:
    """The first shown nodes behind these hidden ones."""
    seen, waiting, found = set(hidden), list(reversed(hidden)), []
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child in shown:
                found.append(child)
            elif child not in seen:
                seen.add(child)
                waiting.append(child)
    return found


class Graph:
    """Edges read once and walked often. A cycle, which only a false declaration can make, does no harm."""

    def __init__(self, edges: Iterable[Sequence[Any]]) -> None:
        found = list(edges)
        self.parents, self.children = links(found)
        # Edges whose fourth says so end there: what was used for a target is not in what came of it.
        ending = [edge for edge in found if len(edge) > 3 and not edge[3]]
        self.ends: Links = links(ending)[1]
        self.onward = links(edge for edge in found if len(edge) < 4 or edge[3])[1] if ending else self.children

    def ancestors(self, *nodes: str) -> set[str]:
        return reachable(nodes, self.parents) - set(nodes)

    def descendants(self, *nodes: str, stops: Collection[str] = (), used: bool = True) -> set[str]:
        """What was made of these nodes, and unless `used` is False what has only used one of all those."""
        reached = reachable(nodes, self.onward, stops)
        if self.ends and used:
            users = {end for node in (*nodes, *reached) for end in self.ends.get(node, ())}
            reached |= users.difference(stops)
        return reached - set(nodes)

    def family(self, node: str) -> set[str]:
        """A node with all it comes from and all that hangs on it."""
        return {node} | self.ancestors(node) | self.descendants(node)

    def bridged(self, shown: Collection[str]) -> list[Pair]:
        """Edges among the shown nodes, where a path through hidden ones counts as an edge."""
        found: dict[Pair, None] = {}
        for start in shown:
            hidden = []
            for child in self.children.get(start, ()):
                if child not in shown:
                    hidden.append(child)
                elif child != start:
                    found[(start, child)] = None
            if hidden:
                found |= dict.fromkeys((start, node) for node in _beyond(hidden, self.children, shown) if node != start)
        return list(found)

    @cached_property
    def cyclic(self) -> frozenset[str]:
        """Nodes that are their own ancestors.

        What remains when nodes without parents are taken away again and again is on a circle or behind one; then the
        same with nodes without children, and of the rest only what leads back to itself.
        """
        waiting = {node: len(near) for node, near in self.parents.items()}
        free = [node for node in self.children if node not in waiting]
        left = set(_peeled(waiting, free, self.children))
        if left:
            waiting = {node: sum(map(left.__contains__, self.children.get(node, ()))) for node in left}
            left = set(_peeled(waiting, [node for node, count in waiting.items() if not count], self.parents))
        return frozenset(node for node in left if node in reachable([node], self.children))


def _peeled(waiting: dict[str, int], free: list[str], after: Links) -> list[str]:
    """What still waits for something before it when all that is free has been taken away."""
    for node in free:  # grows while it is walked
        for other in after.get(node, ()):
            if other in waiting:
                waiting[other] -= 1
                if not waiting[other]:
                    free.append(other)
    return [node for node, count in waiting.items() if count]
