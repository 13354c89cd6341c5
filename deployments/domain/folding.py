"""Drawing siblings as one: the runs of a sweep, or whatever is of one kind, came from the same and led to the like.

Siblings are found by refining classes (after Paige and Tarjan 1987, on the classes alone): at first the nodes of a
kind are one class, and each source is its own; then nodes part whose parents, or whose children, are of different
classes, until none do. Five runs over the same data with an adapter each so become one run, one adapter and one edge,
and never a circle: the classes of a node's ancestors tell its own apart from them.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from projects.domain.graph import Links, links

FEWEST = 4  # siblings that nobody has grouped are drawn as one from here on

Edge = tuple[str, str]


@dataclass(frozen=True)
class Sibling:
    """What folding needs to know of a node. `group` names those that belong together by themselves."""

    kind: str
    group: str = ""


@dataclass(frozen=True)
class Folded:
    """`into` says for every folded node which group it stands in; `members` are those of each group."""

    into: Mapping[str, str]
    members: Mapping[str, Sequence[str]]

    def of(self, node: str) -> str:
        return self.into.get(node, node)

    def edges(self, edges: Sequence[Edge]) -> list[Edge]:
        into = self.into
        if not into:
            return [edge for edge in dict.fromkeys(edges) if edge[0] != edge[1]]
        found = dict.fromkeys((into.get(source, source), into.get(target, target)) for source, target in edges)
        return [edge for edge in found if edge[0] != edge[1]]


def fold(
    nodes: Mapping[str, Sibling], edges: Sequence[Edge], *, opened: Collection[str] = (), keep: Collection[str] = ()
) -> Folded:
    """Fold what can be; `opened` are groups that somebody wants to see, `keep` nodes that stand for themselves."""
    into: dict[str, str] = {}
    members: dict[str, list[str]] = defaultdict(list)
    for node, sibling in nodes.items():
        if sibling.group and node not in keep:
            members[sibling.group].append(node)
    for group in [group for group, inside in members.items() if len(inside) < 2]:
        del members[group]
    into |= {node: group for group, inside in members.items() for node in inside}
    standing = Folded(into, members)
    for group, inside in _alike(nodes, standing, standing.edges(edges), keep).items():
        members[group] = inside
        into |= dict.fromkeys(inside, group)
    return Folded(*_opened(into, members, opened))


def _opened(
    into: dict[str, str], members: dict[str, list[str]], opened: Collection[str]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Groups are found as if none were open, so that opening one leaves the others as they are."""
    return (
        {node: group for node, group in into.items() if group not in opened},
        {group: inside for group, inside in members.items() if group not in opened},
    )


def _alike(
    nodes: Mapping[str, Sibling], standing: Folded, edges: Sequence[Edge], keep: Collection[str]
) -> dict[str, list[str]]:
    """Classes of nodes that have not been folded yet, by the first of each."""
    parents, children = links(edges)
    order = _topological(nodes, parents, children, standing)
    numbers = count(1)
    kinds: dict[str, int] = defaultdict(lambda: next(numbers))
    of = {node: next(numbers) for node in dict.fromkeys(map(standing.of, nodes))}
    free = [node for node in order if not (node in standing.members or node in keep or not parents.get(node))]
    of |= {node: kinds[nodes[node].kind] for node in free}
    before = -1
    while before != len(free):
        before = len(free)
        classes = len({of[node] for node in free})
        free = _part(free, parents, of, numbers)
        free = _part(free[::-1], children, of, numbers)[::-1]
        if classes != len({of[node] for node in free}):
            before = -1
    found: dict[int, list[str]] = defaultdict(list)
    left = set(free)
    for node in nodes:
        if node in left:
            found[of[node]].append(node)
    return {f"alike:{inside[0]}": inside for inside in found.values()}


def _part(free: Sequence[str], around: Links, of: dict[str, int], numbers: Iterator[int]) -> list[str]:
    """Part nodes of one class whose neighbours are of different classes; in an order that carries it on.

    A class that is too small to be drawn as one parts for good. Returned are the nodes of the others.
    """
    classes: dict[tuple[int, ...], int] = defaultdict(lambda: next(numbers))
    for node in free:
        of[node] = classes[(of[node], *sorted({of[other] for other in around.get(node, ())}))]
    sizes = Counter(of[node] for node in free)
    left = []
    for node in free:
        if sizes[of[node]] < FEWEST:
            of[node] = next(numbers)
        else:
            left.append(node)
    return left


def _topological(nodes: Mapping[str, Sibling], parents: Links, children: Links, standing: Folded) -> dict[str, int]:
    """The place of each node after its parents; nodes on a circle, or behind one, have none."""
    names = dict.fromkeys(map(standing.of, nodes))
    waiting = {node: len(parents.get(node, ())) for node in names}
    free = [node for node in names if not waiting[node]]
    for node in free:
        for child in children.get(node, ()):
            waiting[child] -= 1
            if not waiting[child]:
                free.append(child)
    return {node: place for place, node in enumerate(free)}
