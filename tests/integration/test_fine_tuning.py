"""Jobs ordered through the OpenAI API: they wait, start and fail by themselves, with what stands in rows alone."""

from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.urls import reverse

from projects import contributions, reconciler
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, BudgetRequest, Membership
from projects.services import budget
from tests.factories import datasets
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training.domain import finetuning as domain
from training.models import FineTuningJob, Run
from training.selectors import finetuning as reading
from training.services import finetuning as services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


@pytest.fixture(autouse=True)
def _engines(settings):
    settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}


@pytest.fixture
def base():
    project = make_project()
    return factory.make_base(project, make_member(project))


def upload(base, rows=None, name="rows.jsonl"):
    file = SimpleUploadedFile(name, datasets.jsonl(datasets.tickets(20) if rows is None else rows))
    return services.upload_file(base.project, by=base.registered_by, file=file)


def order(base, file, **more) -> FineTuningJob:
    fields = {"model": base.name, "training_file": f"file-{file.pk}", "hyperparameters": {}} | more
    return services.create_job(base.project, by=base.registered_by, **fields)


def swept(job: FineTuningJob) -> FineTuningJob:
    for _ in range(4):
        run_jobs()
        reconciler.sweep()
    job.refresh_from_db()
    return job


@pytest.fixture
def by_sweeps(monkeypatch):
    """Workers end before they can tell that something is over: only sweeps take jobs further."""
    monkeypatch.setattr(contributions, "ended", [])


def test_a_job_starts_as_soon_as_its_file_is_counted(base):
    job = order(base, upload(base))
    run_jobs()
    job.refresh_from_db()

    assert (job.state, job.run.state) == ("started", "succeeded"), "no sweep was needed"


def test_a_job_goes_on_by_what_stands_in_rows(base, by_sweeps):
    job = order(base, upload(base))
    assert (job.state, job.run) == ("validating_files", None)

    reconciler.sweep()
    job.refresh_from_db()
    assert job.state == "validating_files", "the file has not been read"
    run_jobs()  # reads the file
    reconciler.sweep()  # asks for its tokens
    job.refresh_from_db()
    assert job.state == "validating_files"
    run_jobs()
    reconciler.sweep()
    job.refresh_from_db()

    assert (job.state, job.run.state) == ("started", "queued")
    assert job.run.started_by == base.registered_by
    actions = AuditEvent.objects.filter(target=f"training.finetuningjob:{job.pk}").values_list("action", flat=True)
    assert sorted(actions) == ["finetuningjob.created", "finetuningjob.started"]


def test_a_job_whose_data_is_ready_starts_at_once(base):
    file = upload(base)
    swept(order(base, file))

    assert order(base, file).state == "started"


def test_two_sweeps_start_one_run(base, by_sweeps):
    file = upload(base)
    job = order(base, file)
    run_jobs()
    reconciler.sweep()
    run_jobs()
    stale = FineTuningJob.objects.get(pk=job.pk)

    assert services.advance(job) is True
    assert services.advance(stale) is False
    assert Run.objects.count() == 1


def test_a_job_that_cannot_be_helped_does_not_keep_the_others(base, monkeypatch):
    first, second = order(base, upload(base)), order(base, upload(base, name="b.jsonl"))
    usual = services.advance

    def broken(job):
        if job.pk == first.pk:
            raise RuntimeError("the disk is on fire")
        return usual(job)

    monkeypatch.setattr(services, "advance", broken)

    assert swept(second).state == "started"


def test_beyond_the_budget_it_fails_unless_a_reason_asks_for_a_yes(base):
    project, file = base.project, upload(base)
    project.monthly_budget = Decimal("0.000001")
    project.save()

    failed = swept(order(base, file))
    assert (failed.state, failed.error_code, failed.error_param) == ("failed", "over_budget", "metadata.budget_reason")
    assert "An owner can allow it" in failed.error_message
    assert not Run.objects.exists()

    held = swept(order(base, file, metadata={"budget_reason": "for the fair"}))
    assert (held.run.state, reading.status(held)) == ("held", "queued")
    assert ("warn", True) in [(event.level, "for the fair" in event.message) for event in reading.events(held)]
    budget.approve_request(BudgetRequest.objects.get(), by=factory.make_owner(project))
    held.run.refresh_from_db()
    assert held.run.state == "queued"


def test_golden_rows_fail_it_unless_a_reason_is_given(base):
    datasets.make_version(project=base.project, by=base.registered_by, purpose="golden", rows=datasets.tickets(5))
    file = upload(base)

    failed = swept(order(base, file))
    assert (failed.state, failed.error_code, failed.error_param) == ("failed", "contaminated", "metadata.leak_reason")

    started = swept(order(base, file, metadata={"leak_reason": "a smoke test"}))
    assert started.state == "started", started.error_message
    assert started.run.launched_with["leak_reason"] == "a smoke test"


def test_rows_beyond_the_context_of_the_base_are_never_cut_silently(base):
    long = [datasets.chat("ticket " * 400, "billing"), *datasets.tickets(10)]

    failed = swept(order(base, upload(base, long)))

    assert (failed.state, failed.error_code, failed.error_param) == ("failed", "cut_undecided", "training_file")


def test_the_longest_row_decides_the_length(base):
    short = swept(order(base, upload(base)))
    longer = swept(order(base, upload(base, [datasets.chat("ticket " * 100, "billing"), *datasets.tickets(9)])))

    assert 16 <= short.run.recipe["max_length"] < 100 < longer.run.recipe["max_length"] <= base.context_length


def test_whoever_lost_the_right_meanwhile_starts_nothing(base):
    job = order(base, upload(base))
    Membership.objects.filter(user=base.registered_by).update(role=Role.VIEWER.value)

    job = swept(job)

    assert (job.state, job.error_code) == ("failed", "permission_denied")
    assert not Run.objects.exists()


def test_a_file_that_is_deleted_meanwhile_fails_it(base):
    file = upload(base)
    run_jobs()
    job = order(base, file)
    services.delete_file(type(file).objects.get(pk=file.pk), by=base.registered_by)

    job = swept(job)

    assert (job.state, job.error_code, job.error_param) == ("failed", "file_deleted", "training_file")
    assert job.training_file == f"file-{file.pk}", "what was asked for stays readable"


def test_a_file_that_is_being_read_is_not_deleted(base):
    with pytest.raises(Refused) as refused:
        services.delete_file(upload(base), by=base.registered_by)
    assert refused.value.code == "still_reading"


def test_a_file_that_nobody_can_read_fails_it(base):
    file = services.upload_file(
        base.project, by=base.registered_by, file=SimpleUploadedFile("x.jsonl", b"\x00\x01\x02 not rows at all")
    )
    job = swept(order(base, file))

    assert (job.state, job.error_param) == ("failed", "training_file")
    assert job.error_code and job.error_message


def test_two_files_of_one_name_are_two(base):
    files = [upload(base), upload(base)]
    run_jobs()

    assert [file.dataset.name for file in files] == ["rows.jsonl", "rows.jsonl 2"]
    for file in files:
        file.refresh_from_db()
        assert file.state == "succeeded"


def test_bases_of_one_name_are_told_apart(base):
    twin = factory.make_base(base.project, base.registered_by, name=base.name)
    names = reading.named_bases(base.project)

    assert names == {f"{one.name}@{one.fingerprint[:8]}": one for one in (base, twin)}
    assert reading.find_model(base.project, base.name) is None
    assert reading.find_model(base.project, f"base-{twin.pk}") == twin


def test_a_name_of_a_model_is_stable_and_belongs_to_its_project(base):
    adapter = swept(order(base, upload(base), suffix="router")).run.adapter
    name = reading.fine_tuned_name(adapter)

    assert name == f"ft:{base.name}:{base.project.slug}:router:a{adapter.pk}"
    assert reading.find_model(base.project, name) == adapter
    assert reading.find_model(base.project, name.replace("router", "other")) is None
    assert reading.find_model(make_project(), name) is None
    imported = factory.make_adapter(base.project, base.registered_by, base=base, name="by hand, v 2")
    assert reading.fine_tuned_name(imported) == f"ft:{base.name}:{base.project.slug}:by-hand-v-2:a{imported.pk}"


def test_the_database_keeps_jobs_honest(base):
    file = upload(base)
    for wrong in ({"state": "started"}, {"state": "failed"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            FineTuningJob.objects.create(
                project=base.project, upload=file, training_file="file-1", model="m", method="supervised",
                created_by=base.registered_by, **wrong,
            )  # fmt: skip


def test_rights_are_asked_by_the_services(base):
    file = upload(base)
    job = order(base, file)
    viewer = make_member(base.project, Role.VIEWER)
    from django.core.exceptions import PermissionDenied

    for call in (
        lambda: services.upload_file(base.project, by=viewer, file=SimpleUploadedFile("a.jsonl", b"{}")),
        lambda: services.delete_file(file, by=viewer),
        lambda: services.create_job(
            base.project, by=viewer, model=base.name, training_file=f"file-{file.pk}", hyperparameters={}
        ),
        lambda: services.cancel_job(job, by=viewer),
        lambda: services.pause_job(job, by=viewer),
        lambda: services.resume_job(job, by=viewer),
    ):
        with pytest.raises(PermissionDenied):
            call()


def test_the_page_lists_jobs_and_says_how_to_order_them(base, client):
    client.force_login(base.registered_by)
    address = reverse("fine-tuning", args=[base.project.slug])
    page = client.get(address).content.decode()
    assert "/openai/v1" in page and "No job yet" in page and base.name in page

    failed = swept(order(base, upload(base, [{"no": "rows"}])))
    started = order(base, upload(base, name="good.jsonl"))
    page = client.get(address).content.decode()
    assert str(failed) in page and failed.error_message[:40] in page and str(started) in page

    client.force_login(make_member(make_project(), Role.OWNER))
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 12, 13, 64, 100, 251, 256])
def test_a_batch_has_exactly_the_rows_that_were_asked_for(rows):
    at_once, times = domain.split_batch(rows)

    assert at_once * times == rows and at_once <= domain.MOST_IN_MEMORY


@pytest.mark.django_db(transaction=True)
def test_sweeps_side_by_side_start_one_run(base, by_sweeps):
    """Two reconcilers meet at the same job: one of them takes it, the other finds nothing to do."""
    import threading

    from django.db import connection

    job = order(base, upload(base))
    run_jobs()
    reconciler.sweep()
    run_jobs()
    barrier, came, troubles = threading.Barrier(4), [], []

    def sweep() -> None:
        try:
            barrier.wait(10)
            came.append(services.advance(FineTuningJob.objects.get(pk=job.pk)))
        except Exception as problem:
            troubles.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (sorted(came), troubles) == ([False, False, False, True], [])
    assert Run.objects.count() == 1
