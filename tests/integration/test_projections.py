"""Rehearsals and records of projections: through the real supervisor, with engines that need no torch."""

import sys
import threading
from dataclasses import asdict

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection

from projects import leases
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState
from projects.models import Attempt, LedgerEntry
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import recording, selectors, services
from training.domain.projection.calibration import QUANTITIES
from training.models import ProjectionRecord, Rehearsal, Run, TokenProfile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


def fake_rehearsal(behaviour: str = "ok") -> list[str]:
    return [sys.executable, "-m", "tests.fake_rehearsal", behaviour]


@pytest.fixture(autouse=True)
def _engines(settings):
    engines = {"training.run": factory.fake_engine(), "training.rehearsal": fake_rehearsal()}
    settings.ENGINES = dict(settings.ENGINES) | engines


@pytest.fixture
def draft() -> Run:
    return factory.make_draft()


def rehearse(run: Run) -> Rehearsal:
    rehearsal = services.rehearse_run(run, by=run.created_by)
    run_jobs()
    rehearsal.refresh_from_db()
    return rehearsal


def projection_of(run: Run):
    profile = TokenProfile.objects.get(version=run.dataset_version, base=run.base)
    return selectors.projection(run.project, run.base, profile, run.read_recipe)


# Rehearsals


def test_a_rehearsal_replaces_the_guess_and_is_booked_as_what_it_is(draft):
    before = projection_of(draft)
    rehearsal = rehearse(draft)

    assert rehearsal.state == JobState.SUCCEEDED, rehearsal.error_message
    after = projection_of(draft)
    assert (before.source, after.source) == ("formula", "rehearsed")
    assert after.seconds.p90 / after.seconds.p10 < before.seconds.p90 / before.seconds.p10
    assert after.card == "fake" and after.capacity_bytes == 16 * 10**9
    line = LedgerEntry.objects.get(subject_kind="training.rehearsal", subject_id=rehearsal.pk)
    assert (line.cause, line.outcome) == ("rehearsal", "succeeded") and line.amount > 0
    assert not (rehearsal.workdir / "ckpt").exists()
    started = services.start_run(draft, by=draft.created_by)
    assert started.projection["source"] == "rehearsed"


def test_it_says_beforehand_what_it_will_take_itself(draft):
    rehearsal = services.rehearse_run(draft, by=draft.created_by)
    assert 0 < rehearsal.projected["seconds"]["p10"] < rehearsal.projected["seconds"]["p90"]
    assert float(rehearsal.projected["money"]["p50"]) > 0


def test_it_goes_before_runs_that_wait(draft):
    services.start_run(draft, by=draft.created_by)
    rehearsal = services.rehearse_run(draft, by=draft.created_by)
    claimed = leases.claim([Run, Rehearsal], owner="test")
    assert claimed == rehearsal


def test_the_same_is_rehearsed_once(draft):
    first = rehearse(draft)
    again = services.rehearse_run(draft, by=draft.created_by)
    assert (again.pk, again.state, again.attempt) == (first.pk, JobState.SUCCEEDED, 1)
    draft.recipe |= {"learning_rate": 1e-3, "epochs": 2}  # neither speed nor memory depends on these
    draft.save()
    assert services.rehearse_run(draft, by=draft.created_by).pk == first.pk
    draft.recipe |= {"batch_size": 2}
    draft.save()
    assert services.rehearse_run(draft, by=draft.created_by).pk != first.pk


def test_what_does_not_fit_names_the_row_and_what_would(draft, settings):
    settings.ENGINES["training.rehearsal"] = fake_rehearsal("misfit")
    rehearsal = rehearse(draft)

    assert (rehearsal.state, rehearsal.error_code) == (JobState.FAILED, "will_not_fit")
    row = rehearsal.result["misfit"]["row"]
    assert rehearsal.error_message.startswith(f"Row {row} has 60 tokens")
    assert "2 rows at once or rows of at most 32 tokens" in rehearsal.error_message
    assert projection_of(draft).source == "formula"
    settings.ENGINES["training.rehearsal"] = fake_rehearsal()
    assert rehearse(draft).pk == rehearsal.pk, "asked again it is tried again"
    assert projection_of(draft).source == "rehearsed"


def test_the_longest_rows_are_the_first_it_is_given(draft):
    rehearsal = rehearse(draft)
    import json

    asked = json.loads((rehearsal.workdir / "spec.json").read_text())
    profile = TokenProfile.objects.get(version=draft.dataset_version, base=draft.base)
    kept = selectors.kept_rows(profile, draft.read_recipe)
    lengths = dict(zip(kept.indices.tolist(), kept.lengths.tolist(), strict=True))
    told = [lengths[row] for row in asked["rows"]]
    assert told[0] == max(lengths.values())
    first = min(len(lengths), 6 * draft.read_recipe.rows_per_step)
    assert told[:first] == sorted(lengths.values(), reverse=True)[:first]
    assert len(told) == 30 * draft.read_recipe.rows_per_step


@pytest.mark.django_db(transaction=True)
def test_it_is_cancelled_within_seconds(settings):
    settings.ENGINES["training.rehearsal"] = fake_rehearsal("slow")
    settings.CANCEL_POLL_SECONDS = 0.2
    run = factory.make_draft()
    rehearsal = services.rehearse_run(run, by=run.created_by)

    def cancel_when_running():
        for _ in range(400):
            if Rehearsal.objects.filter(pk=rehearsal.pk, progress__phase="training").exists():
                services.cancel_rehearsal(Rehearsal.objects.get(pk=rehearsal.pk), by=run.created_by)
                break
            threading.Event().wait(0.05)
        connection.close()

    canceller = threading.Thread(target=cancel_when_running)
    canceller.start()
    run_jobs()
    canceller.join()
    rehearsal.refresh_from_db()
    assert rehearsal.state == JobState.CANCELLED
    assert selectors.rehearsal_of(run.project, run.base, run.dataset_version, run.read_recipe) is None


def test_rows_that_are_too_long_need_the_same_decision_as_a_start():
    project = make_project()
    by = make_member(project)
    rows = [*datasets.tickets(20), datasets.chat("billing " * 100, "low priority")]
    run = factory.make_draft(project, by, version=datasets.make_version(project=project, by=by, rows=rows))
    with pytest.raises(Refused) as refused:
        services.rehearse_run(run, by=by)
    assert refused.value.code == "cut_undecided"
    run.recipe |= {"cut": "drop"}
    run.save()
    assert services.rehearse_run(run, by=by).state == JobState.QUEUED


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
def test_only_who_may_start_runs_may_rehearse_them(draft, role):
    with pytest.raises(PermissionDenied):
        services.rehearse_run(draft, by=make_member(draft.project, role))


# Records


def test_what_was_predicted_and_what_it_came_to_are_stored():
    run = factory.make_run()
    record = ProjectionRecord.objects.get(run=run)

    assert (record.source, record.device, record.device_name, record.whole) == ("formula", "cpu", "fake", True)
    assert set(record.predicted) == set(record.actual) == set(QUANTITIES)
    assert record.actual["disk_bytes"] == 3000 + 2 * run.adapter.size_bytes
    line = LedgerEntry.objects.get(subject_kind="training.run", subject_id=run.pk)
    assert record.actual["money"] == pytest.approx(float(line.amount))
    assert record.rates["stages"]["closing"] >= 0
    told = str([record.predicted, record.actual, record.plan, record.rates])
    assert run.name not in told and run.base.name not in told, "rates say nothing of whose they are"


def test_the_next_projection_rests_on_it_in_other_projects_too():
    run = factory.make_run()
    elsewhere = factory.make_draft(recipe={"batch_size": 4})
    found = projection_of(elsewhere)
    assert found.source == "scaled" and "1 measured run" in found.why
    assert run.project.name not in str(asdict(found))


def test_a_run_in_pieces_counts_for_memory_and_not_for_time():
    run = factory.make_run()
    ProjectionRecord.objects.filter(run=run).update(whole=False)
    past = selectors.past(ProjectionRecord.objects.all())
    assert {one.quantity for one in past} == {"memory_bytes", "disk_bytes", "tokens"}


def test_a_record_that_a_worker_did_not_get_to_is_made_by_the_sweep():
    run = factory.make_run()
    ProjectionRecord.objects.all().delete()
    assert recording.record_missing() == 1
    assert recording.record_missing() == 0
    assert ProjectionRecord.objects.filter(run=run).count() == 1


def test_a_failed_run_leaves_no_record():
    factory.make_run(behaviour="fail")
    assert not ProjectionRecord.objects.exists()
    assert recording.record_missing() == 0


def test_a_retried_run_is_no_measure_of_time(settings):
    run = factory.make_run(behaviour="fail")
    settings.ENGINES["training.run"] = factory.fake_engine("ok")
    services.retry_run(run, by=run.started_by)
    run_jobs()
    record = ProjectionRecord.objects.get(run=run)
    assert not record.whole
    assert record.actual["seconds"] == pytest.approx(
        sum(one.seconds for one in Attempt.objects.filter(job_label="training.run", job_id=run.pk))
    )


def test_bands_follow_what_past_projections_came_to():
    """Every run of the past took four times its guess; the next guess is corrected."""
    run = factory.make_run()
    record = ProjectionRecord.objects.get(run=run)
    uncorrected = projection_of(run).seconds.p50
    predicted = record.predicted | {"seconds": record.predicted["seconds"] | {"middle": 10, "sigma": 0.2}}
    for number in range(12):
        twin = factory.make_draft(run.project, run.created_by, base=run.base, version=run.dataset_version)
        ProjectionRecord.objects.create(
            project=run.project, run=twin, source="measured", device="cpu", device_name="fake", fingerprint="x",
            predicted=predicted, actual={"seconds": 40.0 + number / 10}, plan=record.plan, rates=record.rates,
        )  # fmt: skip
    assert projection_of(run).seconds.p50 > 2.5 * uncorrected
