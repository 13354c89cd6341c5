"""Runs beside each other: curves short enough for many, what differs, what came of it, on the page and in the API."""

import json
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories.deployments import make_adapter as make_bare_adapter
from tests.factories.deployments import make_base, make_evaluation, make_version
from tests.factories.listed import make_listed
from tests.factories.projects import make_member, make_project, make_user
from training.charts import comparing as charts
from training.domain import comparing
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(client):
    """Three runs of one base and data, with ranks of their own; the second was trained longer."""
    project = make_project()
    by = make_member(project)
    base, version = make_base(project, by), make_version(project, by)
    client.runs = [
        make_listed(
            project, by, base=base, version=version, name=f"rank {rank}", recipe={"rank": rank, "epochs": epochs},
            losses=tuple(2 / (1 + n * rank / 40) for n in range(400)), cost=Decimal(rank),
        )
        for rank, epochs in ((8, 1), (16, 3), (32, 1))
    ]  # fmt: skip
    client.project, client.by = project, by
    client.force_login(by)
    return client


def address(client, name="run-compare", **query):
    runs = query.pop("runs", [run.pk for run in client.runs])
    told = "&".join(f"{key}={value}" for key, value in query.items())
    return reverse(name, args=[client.project.slug]) + f"?runs={','.join(map(str, runs))}&{told}"


def page(client, **query):
    return client.get(address(client, **query))


def api(client, **query):
    return client.get(address(client, "api-run-compare", **query))


def figure_of(answer):
    found = re.search(r'<script id="compare-curves-data"[^>]*>(.*?)</script>', answer.content.decode(), re.S)
    return json.loads(found[1])


def test_curves_lie_over_each_other_thinned_and_named(three):
    figure = figure_of(page(three))

    assert [trace["meta"] for trace in figure["data"]] == [run.pk for run in three.runs]
    assert [trace["name"] for trace in figure["data"]] == ["rank 8", "rank 16", "rank 32"]
    assert all(len(trace["x"]) <= 300 for trace in figure["data"])
    assert figure["data"][0]["y"][0] == 2.0
    assert figure["data"][0]["y"][-1] == pytest.approx(three.runs[0].last_loss, rel=1e-4)


@pytest.mark.parametrize(("over", "last"), [("step", 400), ("seconds", 800), ("tokens", 40_000)])
def test_curves_can_be_drawn_over_time_and_tokens(three, over, last):
    assert figure_of(page(three, over=over))["data"][0]["x"][-1] == last
    assert api(three, over=over).json()["runs"][0]["x"][-1] == last


def test_the_address_keeps_how_it_is_drawn(three):
    hidden = three.runs[1].pk
    answer = page(three, smooth="0.5", log="1", hide=hidden, order="-loss")
    figure = figure_of(answer)

    assert figure["layout"]["yaxis"]["type"] == "log"
    assert [trace["visible"] for trace in figure["data"]] == [True, False, True]
    assert [row.run.name for row in answer.context["rows"]] == ["rank 8", "rank 16", "rank 32"]
    body = answer.content.decode()
    assert f'name="hide" value="{hidden}"' in body
    assert 'value="0.5"' in body


def test_only_what_differs_is_told_and_what_is_unusual_marked(three):
    answer = page(three)

    labels = [one["label"] for one in answer.context["columns"]]
    assert labels[:2] == ["Epochs", "LoRA rank"]
    assert "Learning rate" not in labels
    odd = {(row.run.name, cell["label"]) for row in answer.context["rows"] for cell in row.cells if cell["odd"]}
    assert odd == {("rank 16", "Epochs")}
    assert "Learning rate" in [one["label"] for one in page(three, whole="1").context["columns"]]
    told = {one["name"]: one for one in api(three).json()["differences"]}
    assert set(told) == {"rank", "epochs"}
    assert told["rank"]["values"] == {str(run.pk): str(run.recipe["rank"]) for run in three.runs}
    assert not {one["name"]: one for one in api(three, whole="1").json()["differences"]}["learning_rate"]["differs"]


def test_the_table_sorts_by_any_column(three):
    def order(column):
        return [row.run.recipe["rank"] for row in page(three, order=column).context["rows"]]

    assert order("loss") == [32, 16, 8]
    assert order("-cost") == [32, 16, 8]
    assert order("fact:rank") == [8, 16, 32]
    assert order("nothing-like-this") == [8, 16, 32]


def test_scores_of_evaluations_stand_beside(three):
    adapter = make_bare_adapter(three.project, three.by)
    evaluation = make_evaluation(adapter)

    body = page(three, runs=[three.runs[0].pk, adapter.run_id])
    told = api(three, runs=[three.runs[0].pk, adapter.run_id]).json()["runs"]

    assert f"Exact match on {evaluation.golden}" in body.content.decode()
    assert "90.0" in body.content.decode()
    assert told[0]["scores"] == []
    assert told[1]["scores"][0] | {"measure": ""} == {
        "measure": "", "value": 0.9, "difference": 0.88, "low": 0.81, "high": 0.94, "n": 6,
    }  # fmt: skip


def parallel_of(answer):
    found = re.search(r'<script id="compare-parallel-data"[^>]*>(.*?)</script>', answer.content.decode(), re.S)
    return json.loads(found[1]) if found else None


def test_settings_lead_to_what_came_of_them(three):
    """Uprights for what differs, the last for the metric that is drawn; of two runs the table says it better."""
    figure = parallel_of(page(three))
    assert [trace["meta"] for trace in figure["data"]] == [run.pk for run in reversed(three.runs)]  # the best on top
    assert [note["text"] for note in figure["layout"]["annotations"] if "at the end" in note["text"]] == [
        "Loss at the end"
    ]
    assert len(figure["data"][0]["x"]) == 3, "epochs, rank and the loss"
    assert all("rank" in trace["text"][0] for trace in figure["data"])
    assert parallel_of(page(three, hide=three.runs[0].pk)) is None
    assert parallel_of(page(three, runs=[run.pk for run in three.runs[:2]])) is None


def test_a_hundred_runs_stay_small_and_take_no_query_each(three):
    template = three.runs[0]
    for n in range(97):
        make_listed(
            three.project, three.by, base=template.base, version=template.dataset_version, name=f"many {n}",
            losses=tuple(1 + 0.01 * (at % 7) for at in range(600)),
        )  # fmt: skip
    pks = list(Run.objects.filter(project=three.project).values_list("pk", flat=True))
    with CaptureQueriesContext(connection) as few:
        page(three)
    with CaptureQueriesContext(connection) as many:
        answer = page(three, runs=pks)

    figure = figure_of(answer)
    assert len(figure["data"]) == 100
    assert max(len(trace["x"]) for trace in figure["data"]) <= 180
    assert len(json.dumps(figure)) < 600_000
    assert len(json.dumps(parallel_of(answer))) < 150_000
    assert len(many) <= len(few)
    assert len({(trace["line"]["color"], trace["line"]["dash"]) for trace in figure["data"]}) >= 24


def test_fewer_than_two_say_what_to_do(three):
    assert "Pick at least two runs" in page(three, runs=[]).content.decode()
    assert api(three, runs=[]).json()["runs"] == []


def test_runs_of_others_are_not_told(three):
    other = make_project()
    foreign = make_listed(other, make_member(other), losses=(1.0, 2.0), name="secret run")

    body = page(three, runs=[three.runs[0].pk, three.runs[1].pk, foreign.pk]).content.decode()
    assert "secret run" not in body
    assert "1 of the runs are not in this project" in body
    refused = api(three, runs=[three.runs[0].pk, foreign.pk])
    assert (refused.status_code, refused.json()["code"]) == (400, "not_in_project")
    three.force_login(make_user())
    assert page(three).status_code == api(three).status_code == 404


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"runs": ["x"]}, "bad_number"),
        ({"runs": range(1, 102)}, "too_many"),
        ({"over": "moons"}, "unknown_axis"),
        ({"smooth": "1"}, "out_of_range"),
        ({"smooth": "nan"}, "out_of_range"),
        ({"metric": "a" * 41}, "unknown_metric"),
    ],
)
def test_what_cannot_be_meant_is_refused(three, query, code):
    answer = api(three, **query)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert page(three, **query).status_code == 400


def test_a_metric_that_nobody_reported_is_no_error(three):
    assert "None of them reported this" in page(three, metric="moons").content.decode()
    assert api(three, metric="moons").json()["runs"][0]["x"] == []


def test_a_change_brings_the_comparison_alone(three):
    part = three.get(address(three), headers={"HX-Request": "true"}).content.decode()

    assert part.lstrip().startswith('<div id="compare"')


def test_smoothing_is_unbiased_and_leaves_gaps():
    assert comparing.smoothed([1.0, 1.0, 1.0], 0.9) == pytest.approx([1.0, 1.0, 1.0])
    assert comparing.smoothed([1.0, 3.0], 0) == [1.0, 3.0]
    gap = comparing.smoothed([1.0, float("nan"), 3.0], 0.5)
    assert gap[0] == 1.0
    assert gap[1] != gap[1]
    assert 1 < gap[2] < 3


def test_parallel_coordinates_place_numbers_words_and_what_is_missing():
    axes = [
        charts.Axis("rate", {1: 1e-5, 2: 1e-3, 3: 1e-4}, log=True),
        charts.Axis("data", {1: "b", 2: "a", 3: "a"}),
        charts.Axis("loss", {1: 0.5, 2: 1.0, 3: None}),
    ]
    figure = charts.parallel(axes, {1: "#1", 2: "#2", 3: "#3"}, rising=False, marked=1)
    lines = {trace["meta"]: trace for trace in figure["data"]}

    assert lines[1]["y"] == [0.0, 1.0, 0.0]
    assert lines[2]["y"] == [1.0, 0.0, 1.0]
    assert lines[3]["y"][0] == pytest.approx(0.5)
    assert lines[3]["y"][2] is None
    assert lines[1]["line"]["color"] == charts.BEST
    assert lines[2]["line"]["color"] == charts.WORST
    assert lines[1]["line"]["width"] > lines[2]["line"]["width"]
    table = charts.parallel_table(axes, {1: "#1", 3: "#3"})
    assert table["rows"] == [["#1", "1e-5", "b", "0.5"], ["#3", "1e-4", "a", "–"]] or table["rows"][1][3] == "–"


def test_values_that_would_be_written_over_each_other_are_left_to_the_table():
    values = {1: 0.5, 2: 0.498, 3: 0.52, 4: 0.31, 5: 0.64}
    axes = [charts.Axis("rank", dict.fromkeys(values, 8)), charts.Axis("loss", values)]

    def written(marked):
        figure = charts.parallel(axes, {pk: f"#{pk}" for pk in values}, rising=False, marked=marked)
        notes = [one for one in figure["layout"]["annotations"] if one["x"] == 1 and one["y"] <= 1]
        return [one["text"] for one in notes]

    assert written(4) == ["0.31", "0.498", "0.64"]
    assert written(1) == ["0.31", "0.5", "0.64"], "what is marked goes before its neighbours"
    assert [row[2] for row in charts.parallel_table(axes, {2: "#2"})["rows"]] == ["0.498"]


def test_a_marked_curve_lies_above_the_others_with_its_name_at_its_end():
    curves = {1: ([1.0, 2.0], [3.0, 1.0]), 2: ([1.0, 2.0], [3.0, 2.0])}
    styles = {pk: charts.style(pk) for pk in curves}

    figure = charts.overlay(curves, {1: "#1", 2: "#2"}, styles, marked=1)

    assert [trace["meta"] for trace in figure["data"]] == [2, 1]
    assert figure["data"][1]["line"]["width"] > figure["data"][0]["line"]["width"]
    (name,) = figure["layout"]["annotations"]
    assert (name["text"], name["x"], name["y"]) == ("#1", 2.0, 1.0)
    assert "annotations" not in charts.overlay(curves, {1: "#1", 2: "#2"}, styles)["layout"]
