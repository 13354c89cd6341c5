"""The lineage page: everything of a project, both directions, as drawing and as table."""

import re

import pytest
from django.urls import reverse

from deployments import lineage, services
from projects.contributions import Edge, Node
from projects.domain.permissions import Role
from tests.factories import deployments as make
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


def page(client, user, project, query=""):
    client.force_login(user)
    return client.get(reverse("lineage", args=[project.slug]) + query)


@pytest.fixture
def live():
    return make.make_live()


def test_an_empty_project_says_how_a_lineage_begins(client):
    project = make_project()
    answer = page(client, make_member(project), project).content.decode()
    assert "Nothing has an ancestry yet" in answer
    assert '<svg class="lineage-svg"' not in answer


def test_everything_from_the_base_to_the_deployment_is_there_twice(client, live):
    answer = page(client, live.deployed_by, live.project).content.decode()
    svg = answer[answer.index('<svg class="lineage-svg"') : answer.index("</svg>", answer.index("lineage-svg"))]
    adapter, request = live.adapter, live.request
    rows = [adapter.base, adapter.dataset_version, adapter.run, adapter, request.evaluation, live]
    for row in rows:
        assert svg.count(f'href="{row.get_absolute_url()}"') == 1, row
        assert f'href="{row.get_absolute_url()}"' in answer[answer.index("</svg>") :], row
    assert "style=" not in svg
    assert request.get_absolute_url() not in svg
    asked_for = page(client, live.deployed_by, live.project, "?kind=request&kind=adapter").content.decode()
    assert asked_for.count(f'href="{request.get_absolute_url()}"') == 2


def test_one_walks_from_the_base_to_the_deployment_and_back(live):
    nodes, edges = lineage.gather(live.project)
    pairs = [(edge.source, edge.target) for edge in edges]
    from deployments.domain import graph

    base, here = f"base:{live.adapter.base_id}", f"deployment:{live.pk}"
    assert base in graph.ancestors(pairs, here)
    assert here in graph.descendants(pairs, base)
    assert f"version:{live.adapter.dataset_version_id}" in graph.ancestors(pairs, here)
    assert set(nodes) >= {base, here}


def test_the_focus_shows_only_relatives(client, live):
    other = make.make_adapter(live.project)
    view = lineage.view(live.project, focus=f"adapter:{live.adapter_id}")
    shown = set(view.nodes)
    assert f"deployment:{live.pk}" in shown
    assert f"base:{live.adapter.base_id}" in shown
    assert f"adapter:{other.pk}" not in shown
    relations = {row.node.id: row.relation for row in view.rows}
    assert relations[f"adapter:{live.adapter_id}"] == "this"
    assert relations[f"run:{live.adapter.run_id}"] == "ancestor"
    assert relations[f"deployment:{live.pk}"] == "descendant"
    answer = page(client, live.deployed_by, live.project, f"?focus=adapter:{live.adapter_id}").content.decode()
    assert f"Lineage of {live.adapter.name}" in answer
    assert other.name not in answer


def test_kinds_can_be_left_out_and_what_they_joined_stays_joined(live):
    view = lineage.view(live.project, kinds={"base", "deployment"})
    assert {node.kind for node in view.nodes.values()} == {"base", "deployment"}
    assert [(e.source, e.target) for e in view.edges] == [(f"base:{live.adapter.base_id}", f"deployment:{live.pk}")]


def test_a_rollback_descends_from_what_it_went_back_to():
    first = make.make_live()
    make.make_live(make.make_adapter(first.project), first.slot)
    back = services.roll_back(first.slot, by=make_member(first.project))
    run_jobs()
    _, edges = lineage.gather(first.project)
    assert Edge(f"deployment:{first.pk}", f"deployment:{back.pk}", "rolled back to") in edges


@pytest.mark.parametrize("query", ["?focus=nobody", "?focus=%00", "?kind=nothing", "?focus=adapter:1&kind=%F0"])
def test_nonsense_in_the_address_is_no_error(client, live, query):
    assert page(client, live.deployed_by, live.project, query).status_code == 200


def test_other_projects_stay_out_of_it(client, live):
    stranger = make.make_adapter()
    answer = page(client, make_member(stranger.project), stranger.project).content.decode()
    assert live.adapter.name not in answer
    assert page(client, make_member(stranger.project), live.project).status_code == 404
    assert page(client, make_member(live.project, Role.VIEWER), live.project).status_code == 200


def many(number):
    def contribute(project):
        nodes = [Node(f"run:{i}", "run", f"run <b>{i}</b>", "/x", "succeeded") for i in range(number)]
        return nodes, [Edge(f"run:{i}", f"run:{i + 1}") for i in range(number - 1)]

    return contribute


def test_three_hundred_nodes_are_drawn_and_names_are_only_text(client, monkeypatch):
    monkeypatch.setattr("projects.contributions.lineage", [many(300)])
    project = make_project()
    answer = page(client, make_member(project), project).content.decode()
    assert answer.count('class="lineage-node') == 300
    assert "<b>1</b>" not in answer


def test_more_than_a_drawing_can_bear_is_still_listed(client, monkeypatch):
    monkeypatch.setattr("projects.contributions.lineage", [many(lineage.DRAW_AT_MOST + 1)])
    project = make_project()
    answer = page(client, make_member(project), project).content.decode()
    assert "too many for one drawing" in answer
    assert len(re.findall(r'aria-label="Focus on', answer)) == lineage.DRAW_AT_MOST + 1


def test_an_edge_to_nowhere_is_dropped(monkeypatch):
    monkeypatch.setattr(
        "projects.contributions.lineage",
        [lambda project: ([Node("run:1", "run", "run", "/x")], [Edge("run:1", "adapter:9"), Edge("x", "run:1")])],
    )
    nodes, edges = lineage.gather(make_project())
    assert (list(nodes), edges) == (["run:1"], [])
