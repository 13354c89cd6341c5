"""The page of a run as it is watched: curves over other axes, a closer look, samples, and a log that is searched."""

import numpy as np
import pytest
from django.urls import reverse

from projects import jobs, leases
from projects.domain.states import JobState, Outcome
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project
from training import notes, pages, selectors, services
from training.domain.series import Series
from training.models import MetricChunk, Run

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def drafted(standing):
    return standing(factory.make_draft)


@pytest.fixture
def run(drafted, db):
    """A run that a worker holds, with ten thousand steps behind it: two a second, 64 tokens each."""
    draft = Run.objects.get(pk=drafted.pk)
    services.start_run(draft, by=draft.created_by)
    run = leases.claim([Run], owner="host/cpu/1")
    steps = np.arange(1, 10_001)
    loss = 1 + np.sin(steps / 300)
    loss[4321] = 9.5
    points = {
        "loss": Series.of(steps, loss),
        "seconds": Series.of(steps, steps / 2),
        "tokens": Series.of(steps, steps * 64),
        "learning_rate": Series.of(steps, 1e-4 * steps / 10_000),
        "memory_bytes": Series.of([10_000], [3 * 2**30]),
    }
    MetricChunk.objects.append(run, points)
    return run


def page(client, run, **query):
    return client.get(reverse("run-status", args=[run.project.slug, run.pk]), query)


def curve(client, run, name, **query):
    return client.get(reverse("run-curve", args=[run.project.slug, run.pk, name]), query)


@pytest.fixture
def viewer(client, run):
    client.force_login(run.created_by)
    return client


@pytest.mark.parametrize(
    ("over", "title", "last"),
    [("step", "Step", 10_000), ("seconds", "Time of training (min)", 5000 / 60), ("tokens", "Tokens", 640_000)],
)
def test_curves_are_drawn_over_steps_time_and_tokens(run, over, title, last):
    figure = pages.run_status(run, leases.database_time(), over)["figures"][0]["figure"]
    assert figure["layout"]["xaxis"]["title"]["text"] == title
    assert figure["data"][0]["x"][-1] == pytest.approx(last)
    assert max(figure["data"][0]["y"]) == 9.5


def test_the_page_keeps_what_the_reader_chose_while_it_polls(viewer, run):
    answer = page(viewer, run, over="tokens").content.decode()
    assert "status/?over=tokens" in answer.split('hx-trigger="every 2s"')[0]
    assert "Learning rate" in answer and "Memory" in answer
    assert "status/?over=step" in page(viewer, run, over="parsecs").content.decode()


def test_a_closer_look_has_every_point_of_the_part(viewer, run):
    (each, average) = curve(viewer, run, "loss", first=4000, last=5000).json()["traces"]
    assert each["x"] == list(range(4000, 5001))
    assert len(average["x"]) == 1001
    (minutes, _) = curve(viewer, run, "loss", over="seconds", first=40, last=50).json()["traces"]
    assert (minutes["x"][0], minutes["x"][-1]) == (pytest.approx(40), pytest.approx(50))
    assert len(minutes["x"]) == 1201


@pytest.mark.parametrize("query", [{"first": "nan"}, {"first": "-1e300", "last": "1e300"}, {"last": "inf"}])
def test_any_number_is_a_place(viewer, run, query):
    assert curve(viewer, run, "loss", **query).json()["traces"][0]["x"][0] == 1


def test_what_is_no_number_or_no_metric_is_not_found(viewer, run):
    assert curve(viewer, run, "loss", first="x").status_code == 404
    assert curve(viewer, run, "nonsense").json() == {"traces": []}


def test_a_stranger_sees_neither_curve_nor_log(client, run):
    client.force_login(make_member(make_project()))
    assert curve(client, run, "loss").status_code == 404
    assert client.get(reverse("run-log", args=[run.project.slug, run.pk])).status_code == 404


def sample(row: int, answer: str, **more) -> dict:
    return {
        "row": row,
        "prompt": f"Where does ticket {row} go?",
        "expected": "vip",
        "answer": answer,
        "whole": True,
    } | more


def test_samples_are_shown_by_prompt_the_newest_first(viewer, run):
    notes.note_run(run, {"event": "samples", "step": 0, "samples": [sample(3, "x\x00 y", whole=False)]})
    notes.note_run(run, {"event": "samples", "step": 50, "samples": [sample(3, "vip")]})
    (one,) = pages.run_status(run, leases.database_time())["samples"]
    assert [(answer.step, answer.answer) for answer in one["answers"]] == [(50, "vip"), (0, "x\ufffd y")]
    text = page(viewer, run).content.decode()
    assert "as in the data" in text and "Before training" in text and "cut off" in text


def test_samples_of_a_lost_stretch_go_with_it(run):
    for step in (0, 50, 100):
        notes.note_run(run, {"event": "samples", "step": step, "samples": [sample(3, str(step))]})
    notes.note_run(run, {"event": "started", "total": 200, "resumed_from": 60})
    assert list(run.samples.order_by("step").values_list("step", flat=True)) == [0, 50]


def test_a_worker_given_up_for_dead_writes_no_samples(run):
    Run.objects.filter(pk=run.pk).update(fence=run.fence + 1)
    with pytest.raises(leases.LostLease):
        notes.note_run(run, {"event": "samples", "step": 0, "samples": [sample(3, "late")]})
    assert not run.samples.exists()


def look(client, run, wanted: str) -> str:
    return client.get(reverse("run-log", args=[run.project.slug, run.pk]), {"q": wanted}).content.decode()


def test_the_log_is_searched_whole_in_any_case(viewer, run):
    run.workdir.mkdir(parents=True)
    lines = [f"step {n}  loss {1 / n:.4f}" for n in range(1, 2001)]
    lines[6] = "Warning: the <card> is hot"
    (run.workdir / "engine.log").write_text("\n".join(lines))

    found = look(viewer, run, "WARNING")
    assert "1 line with" in found and "the &lt;card&gt; is hot" in found
    assert '<span class="log-number">7</span>' in found
    many = look(viewer, run, "step")
    assert "1 999 lines with" in many.replace("\u202f", " ") and "the last 300 of them" in many
    assert "No line has" in look(viewer, run, "absent")
    assert "step 2000" in look(viewer, run, "  ")


def test_a_run_without_a_log_says_so(viewer, run):
    assert "has not written anything yet" in look(viewer, run, "")
    assert selectors.log_search(run, "x").count == 0


def test_reading_with_the_reference_is_work_and_the_page_says_how_far_it_is(viewer, run):
    leases.fenced_update(run, progress={"phase": "reference", "done": 30, "total": 120})

    shown = page(viewer, run).content.decode()

    assert "Pairs read with the reference" in shown
    leases.fenced_update(run, progress={"phase": "validating", "done": 3, "total": 12})
    assert "Looking at the validation rows" in page(viewer, run).content.decode()
    assert jobs.kind("training.run").working == {"reference", "training", "validating"}


def part(answer, name):
    """What an answer puts into another place of the page; nothing where it leaves that place alone."""
    _, found, rest = answer.content.decode().partition(f'id="{name}" hx-swap-oob="true">')
    return rest.partition('hx-swap-oob="true"')[0] if found else ""


def test_buttons_and_questions_follow_the_state(viewer, run):
    quiet = page(viewer, run, stand="running")
    assert not part(quiet, "run-actions") and "stand=running" in quiet.content.decode()
    assert "Pause run" in part(page(viewer, run, stand="queued"), "run-actions")

    services.cancel_run(run, by=run.created_by)
    asked = page(viewer, run, stand="running")
    assert "Pause run" not in part(asked, "run-actions") and "stand=running-cancelling" in asked.content.decode()

    leases.finish(run, Outcome.CANCELLED, cause="cancel")
    over = page(viewer, run, stand="running-cancelling")
    assert "Retry run" in part(over, "run-actions") and "Delete this run?" in part(over, "run-dialogs")
    assert 'hx-trigger="every' not in over.content.decode()


def test_what_waits_for_people_is_looked_at_less_often_and_comes_with_its_log(viewer, run):
    Run.objects.filter(pk=run.pk).update(state=JobState.PAUSED)
    paused = page(viewer, run, stand="paused")
    assert 'hx-trigger="every 10s"' in paused.content.decode() and "HX-Refresh" not in paused
    assert page(viewer, run, stand="held")["HX-Refresh"] == "true"


def test_of_several_cards_each_is_shown(viewer, run):
    api = f"/api/v1/projects/{run.project.slug}/runs/{run.pk}/"
    assert viewer.get(api).json()["cards"] == [] and "Memory of each card" not in page(viewer, run).content.decode()

    Run.objects.filter(pk=run.pk).update(devices=2)
    figures = {"device_use_1": 0.9, "device_use_2": 0.25, "memory_bytes_1": 2.0**30, "memory_bytes_2": 3.0 * 2**30}
    for step in (9_999, 10_000):
        MetricChunk.objects.append(run, {name: Series.of([step], [value]) for name, value in figures.items()})
    shown = page(viewer, run).content.decode()
    assert "Memory of each card" in shown and "Use of each card" in shown
    assert '<td class="num">25\u202f%</td>' in shown and "3.22\u202fGB" in shown
    assert viewer.get(api).json()["cards"] == [
        {"number": 1, "use": 0.9, "memory_bytes": 2.0**30, "peak_bytes": None},
        {"number": 2, "use": 0.25, "memory_bytes": 3.0 * 2**30, "peak_bytes": None},
    ]
    assert len(curve(viewer, run, "device_use").json()["traces"]) == 2

    Run.objects.filter(pk=run.pk).update(state=JobState.SUCCEEDED, measured={"memory_by_card": [5 * 10**9, 6 * 10**9]})
    over = page(viewer, run).content.decode()
    assert "Peak" in over and "6.00\u202fGB" in over and "Busy</th>" not in over
    told = viewer.get(api).json()["cards"]
    assert [(one["peak_bytes"], one["use"]) for one in told] == [(5 * 10**9, None), (6 * 10**9, None)]


def test_the_pace_is_told_as_a_share_of_what_the_card_could_do(viewer, run):
    pace = Series.of(range(9_991, 10_001), [1000.0] * 10)
    MetricChunk.objects.append(run, {"tokens_per_second": pace})
    Run.objects.filter(pk=run.pk).update(tokens_per_second=1000.0)
    api = f"/api/v1/projects/{run.project.slug}/runs/{run.pk}/"
    assert viewer.get(api).json()["limit_share"] is None and "of the limit" not in page(viewer, run).content.decode()

    Run.objects.filter(pk=run.pk).update(device_name="NVIDIA H200", device="cuda")
    run.base.shape, run.base.parameters, run.base.vocab_size = {"hidden": 4096, "layers": 32}, 7_000_000_000, 32_000
    run.base.save()
    share = viewer.get(api).json()["limit_share"]
    assert share == pytest.approx(1000 * 4 * 7e9 / 989e12, rel=0.02)
    assert "of the limit" in page(viewer, run).content.decode()


def test_the_page_of_a_run_that_is_over_hears_at_little_cost_that_it_still_is(
    viewer, run, django_assert_max_num_queries
):
    leases.finish(run, Outcome.FAILED, cause="test", code="out_of_memory", message="The card is full.")
    run.refresh_from_db()
    over = page(viewer, run).content.decode()
    assert 'hx-trigger="reader-back from:body' in over and "every 2s" not in over and "stand=failed-1" in over

    with django_assert_max_num_queries(6):  # who asks, in which project, which run
        same = page(viewer, run, stand="failed-1")

    assert (same.status_code, same.content) == (204, b"")
    assert page(viewer, run, over="tokens").status_code == 200, "another axis is drawn whatever the state"


def test_the_page_of_a_run_that_was_retried_elsewhere_comes_back_to_life(viewer, run):
    leases.finish(run, Outcome.FAILED, cause="test", code="out_of_memory", message="The card is full.")
    run.refresh_from_db()
    services.retry_run(run, by=run.created_by)

    moved = page(viewer, run, stand="failed-1")

    assert moved.status_code == 200 and moved["HX-Trigger"] == "run-moved"
    assert "every 2s" in moved.content.decode() and "stand=queued" in moved.content.decode()
    assert "Cancel run" in part(moved, "run-actions") and "Cancel this run?" in part(moved, "run-dialogs")
    assert "HX-Trigger" not in page(viewer, run, stand="queued")

    again = leases.claim([Run], owner="host/cpu/1")
    leases.finish(again, Outcome.FAILED, cause="test", code="out_of_memory", message="The card is full again.")
    told = page(viewer, run, stand="failed-1")
    assert "The card is full again." in told.content.decode() and "stand=failed-2" in told.content.decode()
