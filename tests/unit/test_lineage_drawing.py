"""Drawing a graph in layers, drawing siblings as one, and telling it as a tree, as SVG and as PROV."""

import json
import random
import re
import time
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain import asking, folding, layout, outline, prov, svg
from deployments.domain.asking import Asked
from deployments.domain.folding import Sibling
from projects.domain.graph import Graph, links

names = st.integers(0, 14).map(str)
node_lists = st.lists(names, unique=True, max_size=15)
edge_lists = st.lists(st.tuples(names, names), max_size=40)


def among(nodes, edges):
    return {edge for edge in edges if edge[0] in nodes and edge[1] in nodes and edge[0] != edge[1]}


@given(node_lists, edge_lists)
def test_boxes_never_overlap_and_stand_in_their_layer(nodes, edges):
    drawing = layout.layout(nodes, edges)

    assert {box.node for box in drawing.boxes} == set(nodes)
    columns = {}
    for box in drawing.boxes:
        columns.setdefault(box.x, []).append(box)
        assert box.x + box.width <= drawing.width
        assert box.y + box.height <= drawing.height
    for column in columns.values():
        assert len({box.layer for box in column}) == 1
        assert all(b - a >= layout.BOX_HEIGHT + layout.ROW_GAP for a, b in pairwise(sorted(box.y for box in column)))


@given(node_lists, edge_lists)
def test_every_edge_is_drawn_once_and_goes_right_unless_it_closes_a_circle(nodes, edges):
    drawing = layout.layout(nodes, edges)
    wanted = among(nodes, edges)
    left = {box.node: box.x for box in drawing.boxes}

    assert sorted((line.source, line.target) for line in drawing.lines) == sorted(wanted)
    forward = {line for line in drawing.lines if not line.backwards}
    assert all(left[line.source] < left[line.target] for line in forward)
    assert all(re.fullmatch(r"M[-\d ]+( ?[CH][-\d ]+)+", line.path) for line in drawing.lines)


@given(node_lists, edge_lists)
def test_layers_are_longest_paths_and_sources_stand_beside_their_first_child(nodes, edges):
    kept = layout.forwards(nodes, sorted(among(nodes, edges)))
    layer = layout.layers(nodes, sorted(among(nodes, edges)))
    parents, children = links(kept)

    for node in nodes:
        if parents.get(node) and all(parents.get(parent) for parent in parents[node]):
            assert layer[node] == 1 + max(layer[parent] for parent in parents[node])
        if not parents.get(node) and children.get(node):
            assert layer[node] == min(layer[child] for child in children[node]) - 1
        assert layer[node] >= 0


@given(node_lists, edge_lists)
def test_a_graph_without_circles_keeps_all_its_edges(nodes, edges):
    straight = sorted((a, b) for a, b in among(nodes, edges) if int(a) < int(b))

    assert layout.forwards(nodes, straight) == straight


def test_barycentre_untangles_crossed_pairs():
    nodes = [f"r{i}" for i in range(6)] + [f"a{i}" for i in range(6)]
    edges = [(f"r{i}", f"a{5 - i}") for i in range(6)]
    row = {box.node: box.y for box in layout.layout(nodes, edges).boxes}

    assert all(row[source] == row[target] for source, target in edges)


def test_crossings_are_counted():
    assert layout.crossings([["a", "b"], ["c", "d"]], [("a", "d"), ("b", "c")]) == 1
    assert layout.crossings([["a", "b"], ["c", "d"]], [("a", "c"), ("b", "d")]) == 0


def test_an_empty_project_draws_nothing():
    drawing = layout.layout([], [])
    assert (drawing.boxes, drawing.lines) == ([], [])


def test_four_hundred_nodes_are_placed_at_once_and_always_the_same_way():
    rng = random.Random(3)
    nodes = [str(i) for i in range(400)]
    edges = sorted({tuple(sorted(rng.sample(range(400), 2))) for _ in range(900)})
    edges = [(str(a), str(b)) for a, b in edges if b - a < 120]
    started = time.process_time()
    drawing = layout.layout(nodes, edges)

    assert time.process_time() - started < 3
    assert drawing == layout.layout(nodes, edges)


def siblings(nodes, kinds=("run",)):
    return {node: Sibling(kinds[int(node) % len(kinds)]) for node in nodes}


many = st.integers(0, 30).map(str)


@given(st.lists(many, unique=True, max_size=31), st.lists(st.tuples(names, many), max_size=60))
def test_folding_loses_no_node_and_no_connection(nodes, edges):
    told = sorted((a, b) for a, b in among(nodes, edges) if int(a) < int(b))
    folded = folding.fold(siblings(nodes, ("run", "adapter")), told)
    standing = {folded.of(node) for node in nodes}

    assert sum(len(folded.members.get(one, (one,))) for one in standing) == len(nodes)
    assert {(folded.of(a), folded.of(b)) for a, b in told if folded.of(a) != folded.of(b)} == set(folded.edges(told))
    assert folding.fold(siblings(nodes, ("run", "adapter")), told, keep=nodes).into == {}
    assert Graph(folded.edges(told)).cyclic == set()


def test_chains_beside_each_other_become_one_chain_and_a_different_one_stays():
    nodes = {"base": Sibling("base"), "data": Sibling("dataset")}
    edges = []
    for i in range(6):
        nodes |= {f"r{i}": Sibling("run"), f"a{i}": Sibling("adapter")}
        edges += [("base", f"r{i}"), ("data", f"r{i}"), (f"r{i}", f"a{i}")]
    nodes["e"] = Sibling("evaluation")
    edges.append(("a5", "e"))

    folded = folding.fold(nodes, edges)

    assert {group: len(inside) for group, inside in folded.members.items()} == {"alike:r0": 5, "alike:a0": 5}
    assert ("alike:r0", "alike:a0") in folded.edges(edges) and folded.of("r5") == "r5"


def test_runs_of_a_sweep_their_adapters_and_those_evaluations_become_three_stacks():
    nodes = {"base": Sibling("base"), "golden": Sibling("golden")}
    edges = []
    for i in range(9):
        nodes |= {f"r{i}": Sibling("run", "sweep:1:runs"), f"a{i}": Sibling("adapter", "sweep:1:adapters")}
        nodes |= {f"e{i}": Sibling("evaluation")}
        edges += [("base", f"r{i}"), (f"r{i}", f"a{i}"), (f"a{i}", f"e{i}"), ("golden", f"e{i}")]

    folded = folding.fold(nodes, edges, keep={"a3"})

    assert {group: len(inside) for group, inside in folded.members.items()} == {
        "sweep:1:runs": 9, "sweep:1:adapters": 8, "alike:e0": 8,
    }  # fmt: skip
    opened = folding.fold(nodes, edges, keep={"a3"}, opened=("sweep:1:adapters",))
    assert set(opened.members) == {"sweep:1:runs", "alike:e0"}
    assert opened.of("a0") == "a0"


@given(node_lists, edge_lists)
def test_the_tree_tells_every_node_once_and_every_edge_once(nodes, edges):
    wanted = among(nodes, edges)
    entries = outline.outline(nodes, sorted(wanted))

    assert sorted(entry.node for entry in entries if not entry.again) == sorted(nodes)
    told = [(entry.parent, entry.node) for entry in entries if entry.parent]
    assert len(told) == len(set(told))
    assert set(told) == wanted
    for before, entry in pairwise(entries):
        assert entry.depth <= before.depth + 1


def test_the_tree_as_text():
    entries = outline.outline(["base", "v1", "run"], [("base", "run"), ("v1", "run")])
    labels = {"base": "Base", "v1": "Data v1", "run": "Run"}

    assert outline.text(entries, labels, {("v1", "run"): "trained on"}) == (
        "Base\n  Run\nData v1\n  Run (trained on) …\n"
    )


def test_an_svg_of_its_own_is_well_formed_whatever_the_names_are():
    drawing = layout.layout(["a:1", "b"], [("a:1", "b")])
    nasty = '<script>"&\u2028' + "x" * 60
    cells = {name: svg.Cell(nasty, nasty, "run", '/x?"', nasty, stale=True, many=3) for name in ("a:1", "b")}

    for alone in (True, False):
        root = ET.fromstring(svg.draw(drawing, cells, name=nasty, alone=alone))
        assert "script" not in {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "style=" not in svg.draw(drawing, cells, name="n")


def test_a_long_name_keeps_both_its_ends():
    assert svg.short("evaluation-of-router-rank-16-seed-3", 20) == "evaluation-of…seed-3"
    assert svg.short("short") == "short"


def test_prov_relates_entities_and_activities_by_their_own_relations():
    def node(name, sort, **more):
        return {"id": name, "prov": sort, "kind": name.partition(":")[0], "label": name, "more": more}

    told = prov.document(
        [node("base:1", "entity", licence="mit", empty=""), node("run:1", "activity"), node("adapter:1", "entity"),
         node("adapter:2", "entity"), node("evaluation:1", "activity"), node("request:1", "activity")],
        [("base:1", "run:1", "base"), ("run:1", "adapter:1", "made"), ("adapter:1", "adapter:2", ""),
         ("evaluation:1", "request:1", "is evidence")],
        namespace="https://x/#",
    )  # fmt: skip

    assert told["entity"]["luthier:base-1"]["luthier:licence"] == "mit"
    assert "luthier:empty" not in told["entity"]["luthier:base-1"]
    assert list(told["used"].values()) == [
        {"prov:activity": "luthier:run-1", "prov:entity": "luthier:base-1", "prov:label": "base"}
    ]
    assert next(iter(told["wasGeneratedBy"].values()))["prov:entity"] == "luthier:adapter-1"
    assert list(told["wasDerivedFrom"].values()) == [
        {"prov:generatedEntity": "luthier:adapter-2", "prov:usedEntity": "luthier:adapter-1"}
    ]
    assert next(iter(told["wasInformedBy"].values()))["prov:informant"] == "luthier:evaluation-1"
    json.dumps(told, allow_nan=False)


class Params(dict):
    def get(self, name, default=""):
        return self.getlist(name)[-1] if self.getlist(name) else default

    def getlist(self, name):
        return super().get(name, [])


@given(
    st.builds(
        Asked,
        focus=st.sampled_from(["", "base:1"]),
        live=st.booleans(),
        kinds=st.frozensets(st.sampled_from(["run", "base"])),
        fold=st.booleans(),
        opened=st.lists(st.sampled_from(["sweep:1:runs", "alike:run:2"]), unique=True).map(tuple),
        node=st.sampled_from(["", "run:7"]),
    )
)
def test_an_address_asks_for_what_was_asked(asked):
    from urllib.parse import parse_qs

    assert asking.read(Params(parse_qs(asked.query().removeprefix("?")))) == asked


@pytest.mark.parametrize("focus", ["x" * 200, "a\x00b", "\n"])
def test_nonsense_in_an_address_asks_for_nothing(focus):
    assert asking.read(Params({"focus": [focus], "kind": [focus], "open": [""]})) == Asked()


def test_the_nearest_are_taken_when_there_are_too_many():
    nodes = {str(i): None for i in range(100)}
    edges = [(str(i), str(i + 1)) for i in range(99)]

    near = asking.nearest(["50"], nodes, edges, 5)

    assert near.nodes == {"48", "49", "50", "51", "52"}
    assert near.cut == 95
