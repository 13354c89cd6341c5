"""A layered drawing of the lineage: columns by kind from left to right, ordered by barycentre.

After Sugiyama, Tagawa and Toda (1981). Edges that skip columns run through one shared way-point per source
and column: they pass between boxes and not beneath them, and a base with fifty evaluations gets one trunk.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from deployments.domain.graph import links

STAGES = ("base", "dataset", "run", "adapter", "evaluation", "request", "deployment")
BESIDE = {"golden": "dataset", "retention": "dataset"}  # other kinds that stand in a stage's column
BOX_WIDTH, BOX_HEIGHT = 153, 46
COLUMN_GAP, ROW_GAP, WAY_HEIGHT = 34, 14, 8
MARGIN, HEAD = 8, 34
SWEEPS = 6

Edge = tuple[str, str]


@dataclass(frozen=True)
class Box:
    node: str
    column: int
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
class Head:
    stage: str
    x: int


@dataclass(frozen=True)
class Drawing:
    boxes: Sequence[Box]
    lines: Sequence[Line]
    heads: Sequence[Head]
    width: int
    height: int


def stage_rank(kind: str) -> int:
    """Unknown kinds stand at the right end, so that a new kind of node shows up instead of vanishing."""
    stage = BESIDE.get(kind, kind)
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def layout(kinds: Mapping[str, str], edges: Sequence[Edge]) -> Drawing:
    """Place every node of `kinds` (id -> stage) and route every edge between two of them."""
    edges = [edge for edge in dict.fromkeys(edges) if edge[0] in kinds and edge[1] in kinds and edge[0] != edge[1]]
    stages = sorted({stage_rank(kind) for kind in kinds.values()})
    column = {node: stages.index(stage_rank(kind)) for node, kind in kinds.items()}
    routes = {edge: _route(edge, column) for edge in edges}
    hops = list(dict.fromkeys(hop for route in routes.values() for hop in pairwise(route)))
    places = dict(column) | {stop: at for route in routes.values() for at, stop in _ways(route, column)}
    columns = _ordered(places, hops)
    tops = _stacked(columns, hops, column)
    boxes = {node: Box(node, at, MARGIN + at * (BOX_WIDTH + COLUMN_GAP), tops[node]) for node, at in column.items()}
    lines = [_line(edge, route, boxes, places, tops) for edge, route in routes.items()]
    names = {stage_rank(kind): BESIDE.get(kind, kind) for kind in kinds.values()}
    heads = [Head(names[s], MARGIN + at * (BOX_WIDTH + COLUMN_GAP)) for at, s in enumerate(stages)]
    bottom = max((tops[node] + _height(node, column) for node in places), default=HEAD)
    width = 2 * MARGIN + len(stages) * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP // 2  # half a gap for bows
    return Drawing(list(boxes.values()), lines, heads, width, bottom + MARGIN)


def _route(edge: Edge, column: Mapping[str, int]) -> list[str]:
    source, target = edge
    between = range(column[source] + 1, column[target])
    return [source, *(f"{source} via {at}" for at in between), target]


def _ways(route: Sequence[str], column: Mapping[str, int]) -> list[tuple[int, str]]:
    first = column[route[0]] + 1
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
        floor = HEAD
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
    if source.column >= target.column:
        return Line(*edge, path=_bow(source, target), backwards=source.column > target.column)
    path, at = [f"M{start[0]} {start[1]}"], start
    for stop in route[1:-1]:
        x, y = MARGIN + places[stop] * (BOX_WIDTH + COLUMN_GAP), tops[stop] + WAY_HEIGHT // 2
        path.append(_curve(at, (x, y)))
        path.append(f"H{x + BOX_WIDTH}")
        at = (x + BOX_WIDTH, y)
    path.append(_curve(at, (target.x, target.middle)))
    return Line(*edge, path=" ".join(path), backwards=False)


def _curve(start: tuple[int, int], end: tuple[int, int]) -> str:
    bend = (start[0] + end[0]) // 2
    return f"C{bend} {start[1]} {bend} {end[1]} {end[0]} {end[1]}"


def _bow(source: Box, target: Box) -> str:
    """Within a column a bow at the right; against the flow a curve from the left side back to the right."""
    if source.column == target.column:
        x, out = source.x + source.width, source.x + source.width + COLUMN_GAP // 2
        return f"M{x} {source.middle} C{out} {source.middle} {out} {target.middle} {x} {target.middle}"
    start, end = source.x, target.x + target.width
    bend = (start + end) // 2
    return f"M{start} {source.middle} C{bend} {source.middle} {bend} {target.middle} {end} {target.middle}"
