"""Deploying with verified bytes, superseding, rolling back, and what is refused on the way."""

import shutil

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from deployments import services
from deployments.domain.states import RequestState
from deployments.engine import release
from deployments.models import Deployment
from deployments.selectors import slots
from projects import artefacts
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import LedgerEntry
from tests.factories import deployments as make
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


def current(slot):
    return (slot.folder / "current").readlink().name


@pytest.fixture(scope="module")
def stood(standing):
    def made():
        project = make_project()
        slot = make.make_slot(project)
        return [slot, *(make.make_live(make.make_adapter(project), slot) for _ in range(3))]

    return standing(made)


@pytest.fixture
def three(stood, db):
    """A slot in which three adapters were live one after the other."""
    slot, *deployments = [type(row).objects.get(pk=row.pk) for row in stood]
    return slot, deployments


def test_a_deployment_puts_verified_bytes_into_the_slots_folder():
    deployment = make.make_live()
    slot = deployment.slot
    folder = slot.folder / "current"
    assert slot.folder.parts[-2:] == (slot.project.slug, "production")
    assert current(slot) == deployment.adapter.digest[:12]
    assert release.faults(folder, deployment.adapter.manifest["files"]) == []
    assert deployment.verified_at is not None
    assert deployment.request.state == RequestState.DEPLOYED
    assert slots.drifted(slot, deployment) is False


def test_a_deployment_has_its_line_in_the_ledger():
    deployment = make.make_live()
    line = LedgerEntry.objects.get(cause="deployment")
    assert (line.subject_id, line.outcome, line.unit) == (deployment.pk, "succeeded", "CPU h")


def test_the_next_deployment_supersedes_the_one_before(three):
    slot, (first, second, third) = three
    for deployment in (first, second, third):
        deployment.refresh_from_db()
    assert [d.live for d in (first, second, third)] == [False, False, True]
    assert first.superseded_at < second.superseded_at
    assert third.superseded_at is None
    assert current(slot) == third.release


def test_the_database_keeps_one_live_deployment_per_slot(three):
    _, (first, *_) = three
    with pytest.raises(IntegrityError), transaction.atomic():
        Deployment.objects.filter(pk=first.pk).update(live=True)


def test_what_is_live_was_verified():
    request = make.approve(make.make_request())
    deployment = services.deploy_request(request, by=request.requested_by)
    with pytest.raises(IntegrityError), transaction.atomic():
        Deployment.objects.filter(pk=deployment.pk).update(live=True)


def test_rolling_back_goes_to_the_release_before_and_needs_no_approval(three):
    slot, (_, second, third) = three
    engineer = make_member(slot.project, Role.ENGINEER)
    back = services.roll_back(slot, by=engineer, reason="Answers in French.")
    run_jobs()
    back.refresh_from_db()
    third.refresh_from_db()
    assert (back.state, back.live, back.kind, back.back_to) == ("succeeded", True, "rollback", second)
    assert (back.adapter, back.reason) == (second.adapter, "Answers in French.")
    assert third.live is False
    assert current(slot) == second.release


def test_rollbacks_only_go_backwards(three):
    slot, (first, second, third) = three
    owner = make_member(slot.project, Role.OWNER)
    services.roll_back(slot, by=owner)
    run_jobs()
    assert [d.pk for d in slots.rollback_targets(slot)] == [first.pk]
    with pytest.raises(Refused) as refused:
        services.roll_back(slot, by=owner, to=third)
    assert refused.value.code == "not_a_rollback"
    services.roll_back(slot, by=owner)
    run_jobs()
    assert current(slot) == first.release
    with pytest.raises(Refused) as refused:
        services.roll_back(slot, by=owner)
    assert refused.value.code == "nothing_before"
    assert slots.live(slot).origin == first
    assert second.pk not in {d.pk for d in slots.rollback_targets(slot)}


def test_a_rollback_to_a_chosen_earlier_release(three):
    slot, (first, *_) = three
    services.roll_back(slot, by=make_member(slot.project), to=first)
    run_jobs()
    assert current(slot) == first.release


def test_a_rollback_does_not_need_the_artefact_store(three):
    slot, (_, second, _) = three
    artefacts.delete(second.adapter.key)
    services.roll_back(slot, by=make_member(slot.project))
    run_jobs()
    assert current(slot) == second.release


def test_a_rollback_repairs_a_rotten_release_from_the_store(three):
    slot, (_, second, _) = three
    (slot.folder / "releases" / second.release / "adapter_model.safetensors").write_bytes(b"rot")
    services.roll_back(slot, by=make_member(slot.project))
    run_jobs()
    assert release.faults(slot.folder / "current", second.manifest["files"]) == []


def test_a_rollback_without_any_intact_bytes_fails_and_the_live_one_stays(three):
    slot, (_, second, third) = three
    artefacts.delete(second.adapter.key)
    shutil.rmtree(slot.folder / "releases" / second.release)
    back = services.roll_back(slot, by=make_member(slot.project))
    run_jobs()
    back.refresh_from_db()
    assert (back.state, back.error_code, back.live) == ("failed", "source_missing", False)
    assert current(slot) == third.release
    assert slots.live(slot) == third


def test_nothing_is_rolled_back_where_nothing_was():
    slot = make.make_slot(make_project())
    with pytest.raises(Refused, match="nothing to go back to"):
        services.roll_back(slot, by=make_member(slot.project))


def test_a_release_of_another_slot_is_no_rollback(three):
    slot, _ = three
    foreign = make.make_live()
    with pytest.raises(Refused) as refused:
        services.roll_back(slot, by=make_member(slot.project), to=foreign)
    assert refused.value.code == "not_a_rollback"


@pytest.mark.parametrize("role", [Role.VIEWER, None])
def test_viewers_and_outsiders_neither_deploy_nor_roll_back(three, role):
    slot, _ = three
    somebody = make_member(slot.project if role else make_project(), role or Role.OWNER)
    request = make.approve(make.make_request(make.make_adapter(slot.project), slot))
    with pytest.raises(PermissionDenied):
        services.roll_back(slot, by=somebody)
    with pytest.raises(PermissionDenied):
        services.deploy_request(request, by=somebody)


@pytest.mark.parametrize("state", ["submitted", "rejected"])
def test_nothing_but_an_approved_request_is_deployed(state):
    request = make.make_request()
    if state == "rejected":
        services.reject(
            request,
            by=make_member(request.project, Role.REVIEWER),
            digest=request.digest,
            body=make.REASON,
            session=True,
        )
    with pytest.raises(Refused) as refused:
        services.deploy_request(request, by=request.requested_by)
    assert refused.value.code == "illegal_transition"


def flip_a_bit(adapter):
    path = artefacts.fetch_directory(adapter.key, verify=False) / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))


def test_a_bit_flipped_while_the_deployment_waits_voids_the_approval():
    request = make.approve(make.make_request())
    deployment = services.deploy_request(request, by=request.requested_by)
    flip_a_bit(request.adapter)
    run_jobs()
    deployment.refresh_from_db()
    request.refresh_from_db()
    assert (deployment.state, deployment.error_code) == ("failed", "approval_stale")
    assert "adapter model.safetensors" in deployment.error_message
    assert (request.state, deployment.live) == (RequestState.VOID, False)
    assert not (deployment.slot.folder / "current").exists()


def test_a_bit_flipped_after_the_last_look_is_refused_by_the_child(monkeypatch):
    """Between the worker's check and the copy: the child compares the bytes that it wrote."""
    request = make.approve(make.make_request())
    deployment = services.deploy_request(request, by=request.requested_by)
    flip_a_bit(request.adapter)
    monkeypatch.setattr("deployments.rollout._check_approval", lambda request: None)
    run_jobs()
    deployment.refresh_from_db()
    assert (deployment.state, deployment.error_code, deployment.live) == ("failed", "hash_mismatch", False)
    assert not (deployment.slot.folder / "current").exists()
    assert list((deployment.slot.folder / "releases").iterdir()) == []


def test_a_slot_is_switched_by_one_deployment_at_a_time(three):
    slot, _ = three
    request = make.approve(make.make_request(make.make_adapter(slot.project), slot))
    services.deploy_request(request, by=request.requested_by)
    for act in (
        lambda: services.deploy_request(request, by=request.requested_by),
        lambda: services.roll_back(slot, by=request.requested_by),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "slot_busy"
    assert slot.deployments.filter(state="queued").count() == 1


def test_a_request_cannot_be_taken_back_while_it_is_being_deployed():
    request = make.approve(make.make_request())
    services.deploy_request(request, by=request.requested_by)
    with pytest.raises(Refused) as refused:
        services.withdraw(request, by=request.requested_by)
    assert refused.value.code == "deploying"
    with pytest.raises(Refused) as refused:
        services.reject(
            request,
            by=make_member(request.project, Role.REVIEWER),
            digest=request.digest,
            body=make.REASON,
            session=True,
        )
    assert refused.value.code == "deploying"


def test_a_failed_deployment_can_be_tried_again(settings):
    request = make.approve(make.make_request())
    good = settings.ENGINES["deployments.deployment"]
    settings.ENGINES = settings.ENGINES | {"deployments.deployment": ["false"]}
    deployment = services.deploy_request(request, by=request.requested_by)
    run_jobs()
    deployment.refresh_from_db()
    assert deployment.state == "failed"
    settings.ENGINES = settings.ENGINES | {"deployments.deployment": good}
    again = services.retry_deployment(deployment, by=request.requested_by)
    run_jobs()
    again.refresh_from_db()
    assert again.live


def test_a_folder_that_serves_something_else_is_noticed(three):
    slot, (first, _, third) = three
    link = slot.folder / "current"
    link.unlink()
    link.symlink_to(f"releases/{first.release}")
    assert slots.drifted(slot, third) is True


def test_an_adapter_that_is_live_is_not_asked_for_again(three):
    slot, (*_, third) = three
    with pytest.raises(Refused) as refused:
        make.make_request(third.adapter, slot)
    assert refused.value.code == "already_live"


def test_what_was_deployed_cannot_be_deleted(three):
    _, (first, *_) = three
    adapter = first.adapter
    for row in (adapter, adapter.run, adapter.base, adapter.dataset_version, first.request, first.slot):
        with pytest.raises(ProtectedError):
            row.delete()
    with pytest.raises(ProtectedError):
        first.request.evaluation.delete()


@pytest.mark.parametrize("name", ["", "   ", "…", "x" * 61])
def test_a_slot_needs_a_name_that_makes_a_folder(name):
    project = make_project()
    with pytest.raises(Refused) as refused:
        services.create_slot(project, by=make_member(project, Role.OWNER), name=name)
    assert refused.value.field == "name"


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "Production EU", "CON\u202e"])
def test_a_slots_folder_never_leaves_the_project(name, settings):
    project = make_project()
    owner = make_member(project, Role.OWNER)
    try:
        slot = services.create_slot(project, by=owner, name=name)
    except Refused:
        return
    assert slot.folder.resolve().parent == (settings.DEPLOY_DIR / project.slug).resolve()


def test_slots_whose_folders_would_be_one_are_refused():
    project = make_project()
    owner = make_member(project, Role.OWNER)
    services.create_slot(project, by=owner, name="Production EU")
    with pytest.raises(Refused) as refused:
        services.create_slot(project, by=owner, name="production-eu")
    assert refused.value.code == "name_taken"


def test_only_owners_make_slots():
    project = make_project()
    with pytest.raises(PermissionDenied):
        services.create_slot(project, by=make_member(project, Role.ENGINEER), name="production")


def test_an_expired_lease_after_the_switch_is_carried_out_again():
    """The worker dies between the child's switch and the row: the next attempt repeats the same switch."""
    request = make.approve(make.make_request())
    deployment = services.deploy_request(request, by=request.requested_by)
    order = release.Order(
        artefacts.fetch_directory(request.adapter.key),
        deployment.manifest["files"],
        deployment.slot.folder,
        deployment.release,
        (deployment.pk, 1),
        {},
    )
    release.ensure(order, lambda done, total: None)
    release.switch(order)
    Deployment.objects.filter(pk=deployment.pk).update(fence=1, queued_at=timezone.now())
    run_jobs()
    deployment.refresh_from_db()
    assert (deployment.live, deployment.fence) == (True, 2)
