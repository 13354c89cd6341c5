"""A layered drawing of the lineage, from what things come from at the left to what came of them at the right.

After Sugiyama, Tagawa and Toda (1981): cycles are opened, every node stands one layer beyond the last of its parents,
nodes without parents as near to their first child as that allows, and each layer is ordered by barycentre. Edges that
skip layers run through one shared way-point per source and layer: they pass between boxes and not beneath them, and a
base with fifty evaluations gets one trunk.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from projects.domain.graph import Links, links

BOX_WIDTH, BOX_HEIGHT = 176, 46
COLUMN_GAP, ROW_GAP, WAY_HEIGHT = 46, 12, 8
MARGIN = 10
SWEEPS = 8

Edge = tuple[str, str]


@dataclass(frozen=True)
class Box:
    node: str
    layer: int
    x: int
    y: int
    width: int = BOX_WIDTH
    height: int = BOX_HEIGHT

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


@dataclass(frozen=True)
class Line:
    source: str
    target: str
    path: str
    backwards: bool


@dataclass(frozen=True)
class Drawing:
    boxes: Sequence[Box]
    lines: Sequence[Line]
    width: int
    height: int


def layout(nodes: Collection[str], edges: Sequence[Edge]) -> Drawing:
    """Place every node and route every edge between two of them; the same input gives the same drawing."""
    known = set(nodes)
    edges = [edge for edge in dict.fromkeys(edges) if edge[0] in known and edge[1] in known and edge[0] != edge[1]]
    layer = layers(nodes, edges)
    routes = {edge: _route(edge, layer) for edge in edges}
    hops = list(dict.fromkeys(hop for route in routes.values() for hop in pairwise(route)))
    places = dict(layer) | {stop: at for route in routes.values() for at, stop in _ways(route, layer)}
    columns = _ordered(places, hops)
    tops = _stacked(columns, hops, layer)
    boxes = {node: Box(node, at, _left(at), tops[node]) for node, at in layer.items()}
    lines = [_line(edge, route, boxes, places, tops) for edge, route in routes.items()]
    bottom = max((tops[node] + _height(node, layer) for node in places), default=0)
    width = _left(len(columns)) - COLUMN_GAP // 2 if columns else 2 * MARGIN
    return Drawing(list(boxes.values()), lines, width, bottom + MARGIN)


def layers(nodes: Collection[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Longest path from a source, with sources moved right as far as their children allow."""
    parents, children = links(forwards(nodes, edges))
    layer: dict[str, int] = {}
    waiting = {node: len(parents.get(node, ())) for node in nodes}
    free = [node for node in nodes if not waiting[node]]
    for node in free:  # grows while it is walked: parents before their children
        layer[node] = max((layer[parent] + 1 for parent in parents.get(node, ())), default=0)
        for child in children.get(node, ()):
            waiting[child] -= 1
            if not waiting[child]:
                free.append(child)
    for node in nodes:
        if not parents.get(node) and children.get(node):
            layer[node] = min(layer[child] for child in children[node]) - 1
    return {node: layer[node] for node in nodes}


def forwards(nodes: Collection[str], edges: Sequence[Edge]) -> list[Edge]:
    """The edges without those that close a cycle: found by walking in depth, which meets a node still on its path."""
    _, children = links(edges)
    state: dict[str, int] = {}  # 1 on the path, 2 done
    closing: set[Edge] = set()
    for start in nodes:
        if start not in state:
            _walk(start, children, state, closing)
    return [edge for edge in edges if edge not in closing]


def _walk(start: str, children: Links, state: dict[str, int], closing: set[Edge]) -> None:
    path = [(start, iter(children.get(start, ())))]
    state[start] = 1
    while path:
        node, onward = path[-1]
        for child in onward:
            if state.get(child) == 1:
                closing.add((node, child))
            elif child not in state:
                state[child] = 1
                path.append((child, iter(children.get(child, ()))))
                break
        else:
            state[node] = 2
            path.pop()


def _left(layer: int) -> int:
    return MARGIN + layer * (BOX_WIDTH + COLUMN_GAP)


def _route(edge: Edge, layer: Mapping[str, int]) -> list[str]:
    source, target = edge
    between = range(layer[source] + 1, layer[target])
    return [source, *(f"{source} via {at}" for at in between), target]


def _ways(route: Sequence[str], layer: Mapping[str, int]) -> list[tuple[int, str]]:
    first = layer[route[0]] + 1
    return [(first + step, stop) for step, stop in enumerate(route[1:-1])]


def _height(node: str, boxes: Mapping[str, object]) -> int:
    return BOX_HEIGHT if node in boxes else WAY_HEIGHT


def _ordered(places: Mapping[str, int], hops: Sequence[Edge]) -> list[list[str]]:
    """Columns of nodes, each sorted by the mean position of its neighbours, swept to and fro."""
    columns: list[list[str]] = [[] for _ in range(max(places.values(), default=-1) + 1)]
    for node, at in places.items():
        columns[at].append(node)
    parents, children = links(hops)
    best, fewest = [list(c) for c in columns], crossings(columns, hops)
    for sweep in range(SWEEPS):
        rightwards = sweep % 2 == 0
        for at in range(len(columns)) if rightwards else reversed(range(len(columns))):
            _sort_column(columns, at, parents if rightwards else children, places)
        count = crossings(columns, hops)
        if count < fewest:
            best, fewest = [list(c) for c in columns], count
    return best


def _sort_column(
    columns: list[list[str]], at: int, neighbours: Mapping[str, list[str]], places: Mapping[str, int]
) -> None:
    position = {node: i / max(1, len(c) - 1) for c in columns for i, node in enumerate(c)}

    def barycentre(node: str) -> float:
        near = [position[other] for other in neighbours.get(node, ()) if places[other] != at]
        return sum(near) / len(near) if near else position[node]

    columns[at].sort(key=barycentre)  # stable: ties keep their order, so the drawing does not jump about


def crossings(columns: Sequence[Sequence[str]], hops: Sequence[Edge]) -> int:
    """Pairs of hops between the same two columns that cross."""
    where = {node: (at, i) for at, column in enumerate(columns) for i, node in enumerate(column)}
    gaps: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for source, target in hops:
        (a, i), (b, j) = where[source], where[target]
        if b == a + 1:
            gaps[a].append((i, j))
    return sum(_inversions([j for _, j in sorted(pairs)]) for pairs in gaps.values())


def _inversions(numbers: list[int]) -> int:
    if len(numbers) < 2:
        return 0
    middle = len(numbers) // 2
    left, right = numbers[:middle], numbers[middle:]
    count = _inversions(left) + _inversions(right)
    left.sort()
    right.sort()
    i = 0
    for number in right:
        while i < len(left) and left[i] <= number:
            i += 1
        count += len(left) - i
    return count


def _stacked(columns: Sequence[Sequence[str]], hops: Sequence[Edge], boxes: Mapping[str, object]) -> dict[str, int]:
    """The top of every node: as near to its parents as the node above it allows."""
    parents, _ = links(hops)
    tops: dict[str, int] = {}
    for column in columns:
        floor = MARGIN
        for node in column:
            height = _height(node, boxes)
            middles = [tops[p] + _height(p, boxes) // 2 for p in parents.get(node, ()) if p in tops]
            wanted = sum(middles) // len(middles) - height // 2 if middles else floor
            tops[node] = max(floor, wanted)
            floor = tops[node] + height + ROW_GAP
    return tops


def _line(
    edge: Edge,
    route: Sequence[str],
    boxes: Mapping[str, Box],
    places: Mapping[str, int],
    tops: Mapping[str, int],
) -> Line:
    source, target = boxes[edge[0]], boxes[edge[1]]
    start = (source.x + source.width, source.middle)
    if source.layer >= target.layer:
        return Line(*edge, path=_bow(source, target), backwards=True)
    path, at = [f"M{start[0]} {start[1]}"], start
    for stop in route[1:-1]:
        x, y = _left(places[stop]), tops[stop] + WAY_HEIGHT // 2
        path.append(_curve(at, (x, y)))
        path.append(f"H{x + BOX_WIDTH}")
        at = (x + BOX_WIDTH, y)
    path.append(_curve(at, (target.x, target.middle)))
    return Line(*edge, path=" ".join(path), backwards=False)


def _curve(start: tuple[int, int], end: tuple[int, int]) -> str:
    bend = (start[0] + end[0]) // 2
    return f"C{bend} {start[1]} {bend} {end[1]} {end[0]} {end[1]}"


def _bow(source: Box, target: Box) -> str:
    """Within a layer a bow at the right; against the flow a curve from the left side back to the right."""
    if source.layer == target.layer:
        x, out = source.x + source.width, source.x + source.width + COLUMN_GAP // 2
        return f"M{x} {source.middle} C{out} {source.middle} {out} {target.middle} {x} {target.middle}"
    start, end = source.x, target.x + target.width
    bend = (start + end) // 2
    return f"M{start} {source.middle} C{bend} {source.middle} {bend} {target.middle} {end} {target.middle}"
