"""Runs through the real supervisor with a fake engine: how they start, end, stop, and are tried again."""

import threading

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection

from projects import artefacts
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState
from projects.models import Attempt, AuditEvent, LedgerEntry
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import selectors, services
from training.domain.failures import explain
from training.models import Adapter, Run, TokenProfile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}


def test_a_started_run_becomes_an_adapter_with_its_files_and_its_price():
    run = factory.make_run()

    assert run.state == JobState.SUCCEEDED, run.error_message
    adapter = run.adapter
    assert (adapter.base, adapter.dataset_version, adapter.rank) == (run.base, run.dataset_version, 2)
    assert adapter.key == f"adapters/{run.pk}/run-{run.pk}-f{run.fence}"
    assert {path.name for path in selectors.adapter_path(adapter).iterdir()} >= {"adapter_model.safetensors"}
    assert selectors.curve(run, "loss")[0] == [1, 2, 3, 4, 5]
    assert (run.step, run.tokens_seen, run.device_name) == (5, 100, "fake")
    line = LedgerEntry.objects.get(subject_kind="training.run", subject_id=run.pk)
    assert (line.cause, line.outcome) == ("training", "succeeded")
    assert line.amount > 0


def test_the_spec_is_frozen_with_hashes_and_versions():
    run = factory.make_run()

    assert run.spec["base"]["fingerprint"] == run.base.fingerprint
    assert run.spec["data"]["content_hash"] == run.dataset_version.content_hash
    assert run.spec["recipe"]["rank"] == 2
    assert "transformers" in run.spec["packages"]
    assert "path" not in run.spec["base"] and "output_dir" not in run.spec


def test_the_audit_log_tells_the_life_of_a_run():
    run = factory.make_run()
    actions = AuditEvent.objects.filter(target=f"training.run:{run.pk}").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "run.created",
        "run.queued",
        "run.running",
        "run.succeeded",
    ]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [("fail", "nan_loss"), ("crash", "crashed"), ("silent", "no_result"), ("wrong-files", "adapter_invalid")],
)
def test_a_failure_is_named_priced_and_leaves_no_adapter(behaviour, code):
    run = factory.make_run(behaviour=behaviour)

    assert (run.state, run.error_code) == (JobState.FAILED, code)
    assert run.error_message
    assert not Adapter.objects.filter(run=run).exists()
    assert LedgerEntry.objects.get(subject_kind="training.run", subject_id=run.pk).outcome == "failed"


def test_a_run_that_kills_its_worker_three_times_is_quarantined():
    run = factory.make_run(behaviour="kill")

    assert (run.state, run.error_code) == (JobState.FAILED, "infra_quarantined")
    outcomes = Attempt.objects.filter(job_label="training.run", job_id=run.pk).values_list("outcome", flat=True)
    assert list(outcomes) == ["lost"] * 3
    assert explain(run.error_code).advice.startswith("Something in this run kills its worker")


def test_a_failed_run_can_be_retried_as_a_new_attempt_of_the_same_spec(settings):
    run = factory.make_run(behaviour="fail")
    spec = run.spec
    settings.ENGINES["training.run"] = factory.fake_engine("ok")

    services.retry_run(run, by=run.started_by)
    run_jobs()
    run.refresh_from_db()

    assert (run.state, run.attempt, run.spec) == (JobState.SUCCEEDED, 2, spec)
    assert Attempt.objects.filter(job_label="training.run", job_id=run.pk).count() == 2
    assert LedgerEntry.objects.filter(subject_kind="training.run", subject_id=run.pk).count() == 2
    assert selectors.curve(run, "loss")[0] == [1, 2, 3, 4, 5]  # what both attempts said is kept once


def test_a_run_that_succeeded_is_a_record_and_is_not_retried():
    run = factory.make_run()
    with pytest.raises(Refused):
        services.retry_run(run, by=run.started_by)


def test_a_waiting_run_is_cancelled_at_once():
    run = factory.make_draft()
    services.start_run(run, by=run.created_by)

    services.cancel_run(run, by=run.created_by, reason="wrong data")

    assert run.state == JobState.CANCELLED
    assert AuditEvent.objects.filter(action="run.cancelled", reason="wrong data").exists()


@pytest.mark.django_db(transaction=True)
def test_a_running_run_is_cancelled_within_seconds(settings):
    settings.ENGINES["training.run"] = factory.fake_engine("slow")
    settings.CANCEL_POLL_SECONDS = 0.2
    run = factory.make_draft()
    services.start_run(run, by=run.created_by)

    def cancel_when_running():
        for _ in range(200):
            seen = Run.objects.get(pk=run.pk)
            if seen.step >= 3:
                services.cancel_run(seen, by=run.created_by)
                break
            threading.Event().wait(0.05)
        connection.close()

    canceller = threading.Thread(target=cancel_when_running)
    canceller.start()
    run_jobs()
    canceller.join()

    run.refresh_from_db()
    assert run.state == JobState.CANCELLED
    assert (run.finished_at - run.cancel_requested_at).total_seconds() < 15
    assert LedgerEntry.objects.get(subject_kind="training.run", subject_id=run.pk).outcome == "cancelled"


def test_a_run_cannot_start_before_its_data_is_counted():
    project = make_project()
    by = make_member(project)
    version = datasets.make_version(project=project, by=by)
    run = services.create_run(
        project, by=by, name="hasty", base=factory.make_base(project, by), version=version, recipe=factory.RECIPE
    )
    with pytest.raises(Refused) as refused:
        services.start_run(run, by=by)
    assert refused.value.code == "tokens_not_counted"


def test_rows_that_are_too_long_need_a_decision_before_the_start():
    project = make_project()
    by = make_member(project)
    rows = [*datasets.tickets(20), datasets.chat("billing " * 100, "low priority")]
    run = factory.make_draft(project, by, version=datasets.make_version(project=project, by=by, rows=rows))

    with pytest.raises(Refused) as refused:
        services.start_run(run, by=by)
    assert (refused.value.code, refused.value.field) == ("cut_undecided", "cut")
    assert "1 row is longer than 64 tokens" in str(refused.value)
    assert run.state == JobState.DRAFT

    services.start_run(run, by=by, cut="drop")
    assert run.recipe["cut"] == "drop"
    assert run.launched_with["rows_left_out"] == 1


def test_the_projection_is_frozen_and_compared_with_what_it_took():
    run = factory.make_run()
    from django.utils import timezone

    compared = {row["name"]: row for row in selectors.predicted_against_actual(run, timezone.now())}
    assert set(compared) == {"seconds", "money", "memory_bytes", "disk_bytes", "tokens"}
    assert compared["money"]["p10"] <= compared["money"]["p50"] <= compared["money"]["p90"]
    assert run.projection["source"] == "formula"


def test_the_second_projection_rests_on_the_first_runs_measured_rate():
    first = factory.make_run()
    second = factory.make_draft(first.project, first.created_by, base=first.base, version=first.dataset_version)
    profile = TokenProfile.objects.get(version=first.dataset_version, base=first.base)

    projected = selectors.projection(first.project, first.base, profile, second.read_recipe)

    assert (projected.source, projected.level) == ("measured", "same")
    assert "1 measured run" in projected.why


def test_a_golden_set_is_never_trained_on():
    project = make_project()
    by = make_member(project)
    with pytest.raises(Refused) as refused:
        factory.make_draft(project, by, version=datasets.make_version(project=project, by=by, purpose="golden"))
    assert refused.value.code == "wrong_purpose"


def test_dpo_needs_preference_rows():
    with pytest.raises(Refused) as refused:
        factory.make_draft(recipe={"method": "dpo"})
    assert (refused.value.code, refused.value.field) == ("wrong_kind", "method")


def test_things_of_other_projects_do_not_exist():
    elsewhere = factory.make_base()
    with pytest.raises(Refused) as refused:
        factory.make_draft(base=elsewhere)
    assert (refused.value.code, refused.value.field) == ("not_found", "base")


def test_rows_shared_with_a_golden_set_are_told_at_the_start():
    project = make_project()
    by = make_member(project)
    version = datasets.make_version(project=project, by=by)
    datasets.make_version(project=project, by=by, purpose="golden", rows=datasets.tickets(3))

    run = factory.make_draft(project, by, version=version)
    with pytest.raises(Refused, match=r"3 rows of .* also stand in the golden set"):
        services.start_run(run, by=by)
    services.start_run(run, by=by, leak_reason="A test of memory.")

    (overlap,) = run.launched_with["overlaps"]
    assert (overlap["exact"], run.launched_with["leak_reason"]) == (3, "A test of memory.")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
def test_only_engineers_and_owners_start_runs(role):
    run = factory.make_draft()
    with pytest.raises(PermissionDenied):
        services.start_run(run, by=make_member(run.project, role))


def test_what_others_descend_from_is_not_deleted():
    adapter = factory.make_adapter()
    by = adapter.run.started_by
    child = factory.make_draft(adapter.project, by, base=adapter.base, version=adapter.dataset_version, parent=adapter)

    for service, row in [
        (services.delete_adapter, adapter),
        (services.delete_run, adapter.run),
        (services.delete_base, adapter.base),
    ]:
        with pytest.raises(Refused) as refused:
            service(row, by=by)
        assert refused.value.code == "has_descendants"
    services.delete_run(child, by=by)
    services.delete_adapter(adapter, by=by)
    assert not Adapter.objects.filter(pk=adapter.pk).exists()


def test_one_flipped_bit_in_a_stored_adapter_is_found_before_use():
    adapter = factory.make_adapter()
    weights = selectors.adapter_path(adapter) / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    with pytest.raises(artefacts.ArtefactDamaged):
        selectors.adapter_path(adapter)


def test_a_swapped_directory_with_its_own_manifest_is_found_too():
    adapter = factory.make_adapter()
    other = factory.make_adapter(adapter.project, adapter.run.started_by, recipe={"rank": 3})
    here, there = selectors.adapter_path(adapter), selectors.adapter_path(other)
    for path in there.iterdir():
        (here / path.name).write_bytes(path.read_bytes())

    with pytest.raises(artefacts.ArtefactDamaged):
        selectors.adapter_path(adapter)


def test_a_metric_that_is_said_twice_is_kept_once():
    run = factory.make_run()
    assert selectors.curve(run, "loss")[0] == [1, 2, 3, 4, 5]
