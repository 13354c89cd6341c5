"""Walking a graph and drawing it in layers."""

import random
import re
import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deployments.domain import graph, layout

CHAIN = [("base", "run"), ("v1", "v2"), ("v2", "run"), ("run", "adapter"), ("adapter", "live"), ("v1", "v3")]


def test_ancestors_and_descendants_walk_both_ways():
    assert graph.ancestors(CHAIN, "adapter") == {"base", "v1", "v2", "run"}
    assert graph.descendants(CHAIN, "v1") == {"v2", "v3", "run", "adapter", "live"}
    assert graph.family(CHAIN, "v2") == {"v1", "v2", "run", "adapter", "live"}
    assert graph.ancestors(CHAIN, "nobody") == set()


def test_a_cycle_does_no_harm():
    edges = [("a", "b"), ("b", "c"), ("c", "a")]
    assert graph.ancestors(edges, "a") == {"b", "c"}
    assert layout.layout(dict.fromkeys("abc", "dataset"), edges).boxes


def test_hidden_nodes_are_bridged():
    assert set(graph.bridged(CHAIN, ["base", "adapter", "live", "v1"])) == {
        ("base", "adapter"),
        ("adapter", "live"),
        ("v1", "adapter"),
    }


nodes = st.integers(0, 14).map(str)
edge_lists = st.lists(st.tuples(nodes, nodes), max_size=40)


@given(edge_lists, nodes, nodes)
def test_one_is_above_exactly_when_the_other_is_below(edges, a, b):
    if a != b:
        assert (a in graph.ancestors(edges, b)) == (b in graph.descendants(edges, a))


kinds = st.dictionaries(nodes, st.sampled_from([*layout.STAGES, "unheard-of"]), max_size=15)


@given(kinds, edge_lists)
def test_boxes_never_overlap_and_stand_in_their_column(kinds, edges):
    drawing = layout.layout(kinds, edges)
    assert {box.node for box in drawing.boxes} == set(kinds)
    columns = {}
    for box in drawing.boxes:
        columns.setdefault(box.x, []).append(box)
        assert box.x + box.width <= drawing.width
        assert box.y + box.height <= drawing.height
    for column in columns.values():
        tops = sorted(box.y for box in column)
        assert all(b - a >= layout.BOX_HEIGHT + layout.ROW_GAP for a, b in pairwise(tops))


@given(kinds, edge_lists)
def test_every_edge_is_drawn_once_and_says_when_it_runs_backwards(kinds, edges):
    drawing = layout.layout(kinds, edges)
    wanted = {e for e in edges if e[0] in kinds and e[1] in kinds and e[0] != e[1]}
    assert sorted((line.source, line.target) for line in drawing.lines) == sorted(wanted)
    rank = {node: layout.stage_rank(kind) for node, kind in kinds.items()}
    for line in drawing.lines:
        assert line.backwards == (rank[line.source] > rank[line.target])
        assert re.fullmatch(r"M[-\d ]+( ?[CH][-\d ]+)+", line.path)


def test_columns_follow_the_stages_and_empty_ones_are_left_out():
    drawing = layout.layout({"d": "deployment", "b": "base", "r": "run"}, [("b", "r"), ("r", "d")])
    assert [head.stage for head in drawing.heads] == ["base", "run", "deployment"]
    assert [box.node for box in sorted(drawing.boxes, key=lambda box: box.x)] == ["b", "r", "d"]


def test_barycentre_untangles_crossed_pairs():
    kinds = {f"r{i}": "run" for i in range(6)} | {f"a{i}": "adapter" for i in range(6)}
    edges = [(f"r{i}", f"a{5 - i}") for i in range(6)]
    drawing = layout.layout(kinds, edges)
    row = {box.node: box.y for box in drawing.boxes}
    assert all(row[source] == row[target] for source, target in edges)


def test_crossings_are_counted():
    assert layout.crossings([["a", "b"], ["c", "d"]], [("a", "d"), ("b", "c")]) == 1
    assert layout.crossings([["a", "b"], ["c", "d"]], [("a", "c"), ("b", "d")]) == 0


def test_an_empty_project_draws_nothing():
    drawing = layout.layout({}, [])
    assert (drawing.boxes, drawing.lines, drawing.heads) == ([], [], [])


def test_three_hundred_nodes_are_placed_at_once_and_always_the_same_way():
    rng = random.Random(3)
    kinds = {f"{stage}:{i}": stage for stage in layout.STAGES for i in range(43)}
    names = list(kinds)
    edges = [
        (a, b)
        for a, b in (rng.sample(names, 2) for _ in range(1200))
        if layout.stage_rank(kinds[a]) < layout.stage_rank(kinds[b])
    ]
    started = time.process_time()
    drawing = layout.layout(kinds, edges)
    assert time.process_time() - started < 1.5
    assert drawing == layout.layout(kinds, edges)
