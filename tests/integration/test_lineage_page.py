"""The lineage page: everything of a project, both directions, as drawing, as tree and as files."""

import json
import re
import xml.etree.ElementTree as ET

import pytest
from django.urls import reverse

from deployments import services
from deployments.domain.asking import Asked
from deployments.selectors import graph
from projects import lineage
from projects.contributions import Brief, Edge, Kind
from projects.domain.permissions import Role
from tests.factories import deployments as make
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


def page(client, user, project, query="", name="lineage", *args, **headers):
    client.force_login(user)
    return client.get(reverse(name, args=[project.slug, *args]) + query, headers=headers)


def unsigned(html):
    """Markup without what differs from one answer to the next."""
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", html).strip()


@pytest.fixture(scope="module")
def lived(standing):
    return standing(make.make_live)


@pytest.fixture
def live(lived, db):
    return type(lived).objects.get(pk=lived.pk)


class Source:
    """An app with these nodes and edges, in the place of all that are installed."""

    def __init__(self, briefs, edges=(), kinds=None, marks=()):
        self.kinds = kinds or {"run": Kind("Runs", "run", 20, prov="activity")}
        self._briefs, self._edges, self._marks = briefs, [Edge(*edge) for edge in edges], marks

    def links(self, project):
        return self._edges

    def briefs(self, project, ids=None):
        return self._briefs

    def nodes(self, project, ids):
        return []

    def marks(self, project):
        return self._marks


@pytest.fixture
def instead(monkeypatch):
    def put(*args, **kwargs):
        monkeypatch.setattr("projects.contributions.lineage", [Source(*args, **kwargs)])
        return make_project()

    return put


def chain(number):
    nodes = [Brief(f"run:{i}", "run", f"run <b>{i}</b>", "succeeded") for i in range(number)]
    return nodes, [(f"run:{i}", f"run:{i + 1}") for i in range(number - 1)]


def test_an_empty_project_says_how_a_lineage_begins(client):
    project = make_project()
    answer = page(client, make_member(project), project).content.decode()
    assert "Nothing has an ancestry yet" in answer
    assert "lineage-svg" not in answer


def test_everything_from_the_base_to_the_deployment_is_there_twice(client, live):
    answer = page(client, live.deployed_by, live.project).content.decode()
    svg = answer[answer.index('<svg class="lineage-svg"') : answer.index("</svg>", answer.index("lineage-svg"))]
    tree = answer[answer.index("lineage-lines") :]
    adapter, request = live.adapter, live.request
    names = [
        f"base:{adapter.base_id}", f"version:{adapter.dataset_version_id}", f"run:{adapter.run_id}",
        f"adapter:{adapter.pk}", f"evaluation:{request.evaluation_id}", f"deployment:{live.pk}",
    ]  # fmt: skip
    for name in names:
        assert svg.count(f'data-node="{name}"') == 1, name
        assert f'data-look="{name}"' in tree, name
    assert "style=" not in svg
    assert f"request:{request.pk}" not in svg
    asked_for = page(client, live.deployed_by, live.project, "?kind=request&kind=adapter").content.decode()
    assert f'data-node="request:{request.pk}"' in asked_for
    assert "adapter × " not in asked_for


def test_one_walks_from_the_base_to_the_deployment_and_back(live):
    known = lineage.whole(live.project).graph
    base, here = f"base:{live.adapter.base_id}", f"deployment:{live.pk}"
    assert base in known.ancestors(here)
    assert here in known.descendants(base)
    assert f"version:{live.adapter.dataset_version_id}" in known.ancestors(here)


def test_the_focus_shows_only_relatives(client, live):
    other = make.make_adapter(live.project)
    view = graph.view(live.project, Asked(focus=f"adapter:{live.adapter_id}"))
    assert f"deployment:{live.pk}" in view.briefs
    assert f"adapter:{other.pk}" not in view.briefs
    assert view.relation(f"adapter:{live.adapter_id}") == "this"
    assert view.relation(f"run:{live.adapter.run_id}") == "ancestor"
    assert view.relation(f"deployment:{live.pk}") == "descendant"
    answer = page(client, live.deployed_by, live.project, f"?focus=adapter:{live.adapter_id}").content.decode()
    assert f"Lineage of {live.adapter.name}" in answer


def test_kinds_can_be_left_out_and_what_they_joined_stays_joined(live):
    view = graph.view(live.project, Asked(kinds=frozenset({"base", "deployment"})))
    assert {brief.kind for brief in view.briefs.values()} == {"base", "deployment"}
    assert [edge[:2] for edge in view.edges] == [(f"base:{live.adapter.base_id}", f"deployment:{live.pk}")]


def test_what_is_live_comes_with_all_it_descends_from_and_nothing_else(client, live):
    other = make.make_adapter(live.project)
    view = graph.view(live.project, Asked(live=True))
    assert {f"deployment:{live.pk}", f"base:{live.adapter.base_id}"} <= set(view.briefs)
    assert f"run:{other.run_id}" not in view.briefs
    assert "What is live" in page(client, live.deployed_by, live.project, "?ask=live").content.decode()
    empty = make_project()
    make.make_adapter(empty)
    assert "Nothing is live" in page(client, make_member(empty), empty, "?ask=live").content.decode()


def test_a_rollback_descends_from_what_it_went_back_to():
    first = make.make_live()
    make.make_live(make.make_adapter(first.project), first.slot)
    back = services.roll_back(first.slot, by=make_member(first.project))
    run_jobs()
    edges = lineage.whole(first.project).edges
    assert Edge(f"deployment:{first.pk}", f"deployment:{back.pk}", "rolled back to") in edges


@pytest.mark.parametrize(
    "query",
    ["?focus=nobody", "?focus=%FF", "?kind=nothing", "?focus=adapter:1&kind=%F0", "?node=base:99999999999999999999",
     "?open=x&fold=9&ask=dead"],
)  # fmt: skip
def test_nonsense_in_the_address_is_no_error(client, live, query):
    assert page(client, live.deployed_by, live.project, query).status_code == 200


def test_a_node_is_looked_at_beside_the_drawing_and_alone_for_a_script(client, live):
    name = f"adapter:{live.adapter_id}"
    whole = page(client, live.deployed_by, live.project, f"?node={name}").content.decode()
    piece = page(client, live.deployed_by, live.project, f"?node={name}", **{"HX-Request": "true"})
    told = piece.content.decode()
    assert piece["Cache-Control"] == "no-store"
    assert told.strip().startswith("<section") and unsigned(told) in unsigned(whole)
    for words in (live.adapter.get_absolute_url(), "Comes from", "Leads to", "made", "1 deployment"):
        assert words in told
    gone = page(client, live.deployed_by, live.project, "?node=run:999999").content.decode()
    assert "no such node" in gone


def test_other_projects_stay_out_of_it(client, live):
    stranger = make.make_adapter()
    member = make_member(stranger.project)
    answer = page(client, member, stranger.project, f"?focus=adapter:{live.adapter_id}&node=adapter:{live.adapter_id}")
    assert live.adapter.name not in answer.content.decode()
    assert page(client, member, live.project).status_code == 404
    assert page(client, make_member(live.project, Role.VIEWER), live.project).status_code == 200
    for name, args, query in (
        ("lineage-compare", (), f"?a={live.adapter_id}&b={stranger.pk}"),
        ("lineage-row", (live.adapter.dataset_version_id, 0), ""),
    ):
        assert page(client, member, stranger.project, query, name, *args).status_code == 404


def test_siblings_are_drawn_as_one_and_each_on_request(client, live):
    project, by = live.project, live.deployed_by
    version = live.adapter.dataset_version
    made = [make.make_adapter(project, by, parent=live.adapter, dataset_version=version) for _ in range(5)]
    view = graph.view(project, Asked())
    group = view.folded.of(f"run:{made[0].run_id}")
    assert view.many(group) == 5
    assert f"deployment:{live.pk}" in view.briefs, "what is live stands for itself"
    answer = page(client, by, project, f"?node={group}").content.decode()
    assert "5 runs drawn as one" in answer and "5 × run" in answer
    opened = page(client, by, project, f"?open={group}").content.decode()
    assert all(f'data-node="run:{adapter.run_id}"' in opened for adapter in made)
    apart = graph.view(project, Asked(fold=False))
    assert {f"run:{adapter.run_id}" for adapter in made} <= set(apart.briefs)


def test_three_hundred_nodes_are_drawn_and_names_are_only_text(client, instead):
    project = instead(*chain(300))
    answer = page(client, make_member(project), project).content.decode()
    assert answer.count('<a class="lineage-node') == 300
    assert "<b>1</b>" not in answer


def test_of_more_than_a_drawing_can_bear_the_nearest_are_drawn(client, instead):
    project = instead(*chain(graph.DRAW_AT_MOST + 100))
    answer = page(client, make_member(project), project, "?focus=run:250").content.decode()
    assert "too many for one drawing" in answer
    assert answer.count('<a class="lineage-node') == graph.DRAW_AT_MOST
    assert 'data-node="run:250"' in answer
    everything = page(client, make_member(project), project, "", "lineage-export", "json").json()
    assert len(everything["nodes"]) == graph.DRAW_AT_MOST + 100


def test_a_circle_of_declared_parents_is_said_and_drawn(client, instead):
    nodes, edges = chain(4)
    project = instead(nodes, [*edges, ("run:2", "run:1")])
    answer = page(client, make_member(project), project, "?node=run:1").content.decode()
    assert "A circle of ancestors" in answer and "declared as its own ancestor" in answer
    assert answer.count("is-back") == 1
    assert answer.count('<a class="lineage-node') == 4


def test_an_adapter_whose_base_is_missing_has_a_node_that_says_so(client, instead):
    kinds = {"adapter": Kind("Adapters", "adapter", 30)}
    project = instead([Brief("adapter:1", "adapter", "router")], [("base:9", "adapter:1", "base")], kinds)
    answer = page(client, make_member(project), project, "?node=base:9").content.decode()
    assert "Something that others stand on is missing" in answer
    assert 'data-node="base:9"' in answer and "referred to and not there" in answer


def test_a_kind_that_nobody_registered_is_drawn_at_the_end(client, instead):
    project = instead([Brief("merge:1", "merge", "two in one"), Brief("run:1", "run", "run")], [("run:1", "merge:1")])
    assert list(lineage.whole(project).kinds) == ["run", "merge"]
    assert 'data-node="merge:1"' in page(client, make_member(project), project).content.decode()


def test_the_files_say_what_the_page_says(client, live):
    by, project = live.deployed_by, live.project
    told = page(client, by, project, "", "lineage-export", "json").json()
    names = {node["id"] for node in told["nodes"]}
    assert f"deployment:{live.pk}" in names
    assert all(edge["source"] in names and edge["target"] in names for edge in told["edges"])
    prov = page(client, by, project, "", "lineage-export", "prov")
    assert "attachment" in prov["Content-Disposition"]
    assert f"luthier:adapter-{live.adapter_id}" in json.loads(prov.content)["entity"]
    assert {"used", "wasGeneratedBy"} <= set(prov.json())
    svg = page(client, by, project, "", "lineage-export", "svg")
    assert ET.fromstring(svg.content).tag == "{http://www.w3.org/2000/svg}svg"
    text = page(client, by, project, f"?focus=run:{live.adapter.run_id}", "lineage-export", "txt").content.decode()
    assert f"  {live.adapter.run.name} [run] (base)" in text
    assert page(client, by, project, "", "lineage-export", "exe").status_code == 404


def test_two_adapters_are_set_beside_each_other(client, live):
    other = make.make_adapter(live.project, live.deployed_by)
    golden = live.request.evaluation.golden
    make.make_evaluation(other, golden=golden)
    answer = page(client, live.deployed_by, live.project, f"?a={live.adapter_id}&b={other.pk}", "lineage-compare")
    text = answer.content.decode()
    assert "They differ in data" in text and "base" in text
    assert other.dataset_version.content_hash[:8] in text
    assert "Cannot be told apart on 6 rows" in text
    unasked = page(client, live.deployed_by, live.project, "", "lineage-compare").content.decode()
    assert "They differ in data" in unasked, "the newest two, where nobody has chosen"
    assert "Choose two" in page(client, live.deployed_by, live.project, "?a=", "lineage-compare").content.decode()
    assert page(client, live.deployed_by, live.project, "?a=x&b=1", "lineage-compare").status_code == 404
    same = page(client, live.deployed_by, live.project, f"?a={other.pk}&b={other.pk}", "lineage-compare")
    assert "same base, data and recipe" in same.content.decode()
