"""Walking a graph, and how staleness travels in it."""

from hypothesis import given
from hypothesis import strategies as st

from projects.domain import graph
from projects.domain.graph import Graph
from projects.domain.staleness import Mark, spread

CHAIN = [("base", "run"), ("v1", "v2"), ("v2", "run"), ("run", "adapter"), ("adapter", "live"), ("v1", "v3")]

nodes = st.integers(0, 14).map(str)
edge_lists = st.lists(st.tuples(nodes, nodes), max_size=40)


def test_ancestors_and_descendants_walk_both_ways():
    assert graph.ancestors(CHAIN, "adapter") == {"base", "v1", "v2", "run"}
    assert graph.descendants(CHAIN, "v1") == {"v2", "v3", "run", "adapter", "live"}
    assert graph.family(CHAIN, "v2") == {"v1", "v2", "run", "adapter", "live"}
    assert graph.ancestors(CHAIN, "nobody") == set()


def test_hidden_nodes_are_bridged():
    assert set(Graph(CHAIN).bridged(["base", "adapter", "live", "v1"])) == {
        ("base", "adapter"),
        ("adapter", "live"),
        ("v1", "adapter"),
    }


@given(edge_lists, nodes, nodes)
def test_one_is_above_exactly_when_the_other_is_below(edges, a, b):
    if a != b:
        assert (a in graph.ancestors(edges, b)) == (b in graph.descendants(edges, a))


@given(edge_lists)
def test_a_node_is_cyclic_exactly_when_a_walk_leads_back_to_it(edges):
    known = Graph(edges)
    everything = {end for edge in edges for end in edge}

    assert known.cyclic == {node for node in everything if node in graph.reachable([node], known.children)}


def test_a_cycle_does_no_harm():
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("x", "a")]
    assert graph.ancestors(edges, "a") == {"b", "c", "x"}
    assert Graph(edges).cyclic == {"a", "b", "c"}


@given(edge_lists, nodes, st.frozensets(nodes, max_size=4))
def test_a_mark_reaches_what_a_path_without_its_stops_reaches_and_nothing_else(edges, start, stops):
    mark = Mark(start, "erased", "a row", stops=stops)
    free = Graph([(a, b) for a, b in edges if b not in stops])

    carried = spread(Graph(edges), [mark])

    assert set(carried) == {start} | free.descendants(start)
    assert all(marks == [mark] for marks in carried.values())


def test_a_row_that_was_erased_is_not_in_the_version_made_without_it_nor_in_what_that_fed():
    edges = [
        ("v1", "v2"),
        ("v1", "old run"),
        ("v2", "new run"),
        ("v1", "merge"),
        ("v2", "merge"),
        ("merge", "late run"),
    ]

    carried = spread(Graph(edges), [Mark("v1", "erased", "row 7", stops=frozenset({"v2"}))])

    assert set(carried) == {"v1", "old run", "merge", "late run"}


def test_a_node_carries_its_own_reason_before_those_of_its_ancestors():
    above, own = Mark("base", "withdrawn", "recalled"), Mark("run", "withdrawn", "wrong seed")

    assert spread(Graph([("base", "run")]), [above, own])["run"] == [own, above]


def test_what_was_only_used_for_a_node_is_its_ancestor_and_nothing_hangs_on_it_beyond():
    graph = Graph([("data", "run"), ("held out", "run", "looked at with", False), ("run", "adapter", "made", True)])
    assert graph.descendants("held out") == {"run"}
    assert graph.descendants("data") == {"run", "adapter"}
    assert graph.ancestors("adapter") == {"run", "data", "held out"}
    assert graph.descendants("held out", stops={"run"}) == graph.descendants("held out", used=False) == set()
    marked = {code: spread(graph, [Mark("held out", code, "why")]) for code in ("withdrawn", "contaminated")}
    assert set(marked["withdrawn"]) == {"held out", "run"} and set(marked["contaminated"]) == {"held out"}
    both = Graph([("a", "run"), ("a", "run", "", False), ("run", "adapter"), ("a", "b"), ("b", "used by", "", False)])
    assert both.descendants("a") == {"run", "adapter", "b", "used by"}
