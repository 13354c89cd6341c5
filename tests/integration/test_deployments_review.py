"""A request from its submission to its verdict: who may decide, on what, and what makes it void."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from deployments import services
from deployments.domain.policies import SelfApproval, SessionRequired
from deployments.domain.states import RequestState, Verdict
from deployments.models import DeploymentRequest, Review
from deployments.services.validity import Stale
from projects import artefacts
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, Membership
from tests.factories import deployments as make
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]
S = RequestState


def give(verdict, request, by, body=make.REASON, session=True, digest=None):
    return services.decide(request, by=by, verdict=verdict, digest=digest or request.digest, body=body, session=session)


@pytest.fixture
def request_(db):
    return make.make_request()


@pytest.fixture
def reviewer(request_):
    return make_member(request_.project, Role.REVIEWER)


def test_two_people_take_an_adapter_live(request_, reviewer):
    services.comment(request_, by=reviewer, body="Why does row 0 fail?")
    give(Verdict.REQUEST_CHANGES, request_, reviewer, "Explain the failing row first.")
    services.resubmit(request_, by=request_.requested_by, message="Row 0 is mislabelled.")
    assert (request_.decided_by, request_.decided_digest) == (None, "")
    give(Verdict.APPROVE, request_, reviewer)
    deployment = services.deploy_request(request_, by=request_.requested_by)
    run_jobs()

    request_.refresh_from_db()
    deployment.refresh_from_db()
    assert (request_.state, deployment.state, deployment.live) == (S.DEPLOYED, "succeeded", True)
    assert [r.verdict for r in request_.reviews.all()] == ["comment", "request_changes", "approve"]
    assert {r.digest for r in request_.reviews.all()} == {request_.digest}
    assert list(
        AuditEvent.objects.filter(target=f"deployments.deploymentrequest:{request_.pk}")
        .order_by("pk")
        .values_list("action", "actor")
    ) == [
        ("deploymentrequest.submitted", request_.requested_by.email),
        ("deploymentrequest.commented", reviewer.email),
        ("deploymentrequest.changes_requested", reviewer.email),
        ("deploymentrequest.submitted", request_.requested_by.email),
        ("deploymentrequest.approved", reviewer.email),
        ("deploymentrequest.deployed", request_.requested_by.email),
    ]


@pytest.mark.parametrize("tie", ["requested_by", "run_started_by", "run_created_by"])
@pytest.mark.parametrize("verdict", [Verdict.APPROVE, Verdict.REQUEST_CHANGES, Verdict.REJECT])
def test_people_tied_to_the_adapter_cannot_decide_even_as_owner(tie, verdict):
    project = make_project()
    owner = make_member(project, Role.OWNER)
    if tie == "requested_by":
        request = make.make_request(make.make_adapter(project), by=owner)
    else:
        request = make.make_request(make.make_adapter(project, **{tie.removeprefix("run_"): owner}))
    with pytest.raises(SelfApproval):
        give(verdict, request, owner)
    request.refresh_from_db()
    assert (request.state, request.decided_by) == (S.SUBMITTED, None)


@pytest.mark.parametrize("tie", ["requested_by", "run_started_by", "run_created_by"])
def test_the_database_refuses_self_approval_too(request_, tie):
    with pytest.raises(IntegrityError), transaction.atomic():
        DeploymentRequest.objects.filter(pk=request_.pk).update(
            state=S.APPROVED,
            decided_by=getattr(request_, tie),
            decided_at=timezone.now(),
            decided_digest=request_.digest,
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"decided_digest": "0" * 64},
        {"decided_by": None, "decided_at": None},
        {"decided_at": None},
    ],
)
def test_the_database_refuses_an_approval_of_other_evidence_or_by_nobody(request_, reviewer, changes):
    good = {
        "state": S.APPROVED,
        "decided_by": reviewer,
        "decided_at": timezone.now(),
        "decided_digest": request_.digest,
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        DeploymentRequest.objects.filter(pk=request_.pk).update(**(good | changes))


def test_a_second_account_of_the_author_cannot_decide(request_):
    local, _, domain = request_.requested_by.email.partition("@")
    alias = make_member(request_.project, Role.REVIEWER, email=f"{local}+reviewer@{domain}")
    with pytest.raises(SelfApproval):
        give(Verdict.APPROVE, request_, alias)


def test_a_token_cannot_decide(request_, reviewer):
    with pytest.raises(SessionRequired):
        give(Verdict.APPROVE, request_, reviewer, session=False)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
def test_only_reviewers_and_owners_decide(request_, role):
    with pytest.raises(PermissionDenied):
        give(Verdict.APPROVE, request_, make_member(request_.project, role))


def test_a_reviewer_of_another_project_cannot_decide(request_):
    with pytest.raises(PermissionDenied):
        give(Verdict.APPROVE, request_, make_member(make_project(), Role.REVIEWER))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
def test_asking_needs_the_permission(role):
    adapter = make.make_adapter()
    with pytest.raises(PermissionDenied):
        make.make_request(adapter, by=make_member(adapter.project, role))


def test_a_verdict_needs_a_reason(request_, reviewer):
    with pytest.raises(Refused) as refused:
        give(Verdict.APPROVE, request_, reviewer, body="ok")
    assert refused.value.code == "reason_missing"


def test_a_verdict_on_evidence_that_was_not_seen_is_refused(request_, reviewer):
    with pytest.raises(Stale) as refused:
        give(Verdict.APPROVE, request_, reviewer, digest="0" * 64)
    assert refused.value.code == "evidence_changed"
    request_.refresh_from_db()
    assert request_.state == S.SUBMITTED


BAD = {
    "worse": {"score": {"base": 0.9, "adapter": 0.5, "difference": -0.4, "low": -0.5, "high": -0.3}},
    "unsure": {"score": {"base": 0.5, "adapter": 0.6, "difference": 0.1, "low": -0.1, "high": 0.3}},
    "forgot": {"retention_percent": 5.1},
    "no retention set": {"retention_percent": None},
    "leaked": {"leaked": 1},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_blocking_gate_stops_approval_but_not_rejection(bad):
    adapter = make.make_adapter()
    request = make.make_request(adapter, evaluation=make.make_evaluation(adapter, **bad))
    reviewer = make_member(request.project, Role.REVIEWER)
    with pytest.raises(Refused) as refused:
        give(Verdict.APPROVE, request, reviewer)
    assert refused.value.code == "gates_not_passed"
    give(Verdict.REJECT, request, reviewer)
    assert request.state == S.REJECTED


def test_leaks_into_a_parents_training_data_count_too():
    parent = make.make_adapter()
    child = make.make_adapter(parent.project, parent=parent)
    evaluation = make.make_evaluation(child)
    make.make_evaluation(parent, golden=evaluation.golden, leaked=3)
    request = make.make_request(child, evaluation=evaluation)
    assert request.evidence["contamination"] == {"exact": 3, "normalised": 0, "similar": 0}
    assert request.evidence["gates"]["contamination"]["status"] == "fail"


def test_one_open_request_per_adapter_and_slot(request_):
    with pytest.raises(Refused) as refused:
        make.make_request(request_.adapter, request_.slot)
    assert refused.value.code == "already_requested"
    services.withdraw(request_, by=request_.requested_by)
    assert make.make_request(request_.adapter, request_.slot).state == S.SUBMITTED


def test_things_of_another_project_cannot_be_asked_for(request_):
    stranger = make.make_adapter()
    foreign = {
        "slot": make.make_slot(stranger.project),
        "adapter": stranger,
        "evaluation": make.make_evaluation(stranger),
    }
    own = {"slot": request_.slot, "adapter": request_.adapter, "evaluation": request_.evaluation}
    for field, thing in foreign.items():
        with pytest.raises(Refused) as refused:
            services.request_deployment(request_.project, by=request_.requested_by, **(own | {field: thing}))
        assert (refused.value.code, refused.value.field) == ("not_in_project", field)


def test_only_the_author_resubmits_and_withdraws(request_):
    other = make_member(request_.project)
    with pytest.raises(Refused, match="who made this request"):
        services.withdraw(request_, by=other)
    give(Verdict.REQUEST_CHANGES, request_, make_member(request_.project, Role.REVIEWER))
    with pytest.raises(Refused, match="who made this request"):
        services.resubmit(request_, by=other)


@pytest.mark.parametrize("final", [S.REJECTED, S.WITHDRAWN])
def test_what_is_over_stays_over(request_, reviewer, final):
    if final is S.REJECTED:
        give(Verdict.REJECT, request_, reviewer)
    else:
        services.withdraw(request_, by=request_.requested_by)
    for act in (
        lambda: give(Verdict.APPROVE, request_, reviewer),
        lambda: services.resubmit(request_, by=request_.requested_by),
        lambda: services.deploy_request(request_, by=request_.requested_by),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "illegal_transition"


def test_a_reviewer_may_think_again_until_it_is_live(request_, reviewer):
    give(Verdict.APPROVE, request_, reviewer)
    give(Verdict.REJECT, request_, reviewer, "I overlooked the German tickets.")
    with pytest.raises(Refused):
        services.deploy_request(request_, by=request_.requested_by)


# What happens between the submission and the verdict, or between approval and deployment.


def a_bit_flips(request):
    path = artefacts.fetch_directory(request.adapter.key, verify=False) / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(bytes(data))


def a_file_vanishes(request):
    (artefacts.fetch_directory(request.adapter.key, verify=False) / "adapter_config.json").unlink()


def the_store_is_gone(request):
    artefacts.delete(request.adapter.key)


def the_score_is_rewritten(request):
    request.evaluation.summary["graders"]["exact_match"]["low"] = 0.99
    request.evaluation.save()


def an_answer_is_rewritten(request):
    item = request.evaluation.items.first()
    item.adapter_output = "billing"
    item.save()


def another_evaluation_ends_worse(request):
    make.make_evaluation(request.adapter, golden=request.evaluation.golden, score=make.GOOD | {"low": -0.2})


def another_adapter_goes_live(request):
    make.make_live(make.make_adapter(request.project), request.slot)


def golden_rows_are_found_in_the_data(request):
    request.adapter.dataset_version.overlaps.update(exact=2)


def the_base_is_another(request):
    request.adapter.base.fingerprint = "0" * 64
    request.adapter.base.save()


def the_slot_is_renamed(request):
    request.slot.target = "elsewhere"
    request.slot.save()


CHANGES = [
    (a_bit_flips, "Adapter file on disk"),
    (a_file_vanishes, "Adapter file on disk"),
    (the_store_is_gone, "Adapter file on disk"),
    (the_score_is_rewritten, "Evaluation score"),
    (an_answer_is_rewritten, "Evaluation, outputs"),
    (another_evaluation_ends_worse, "Finished evaluations"),
    (another_adapter_goes_live, "Live in the slot"),
    (golden_rows_are_found_in_the_data, "Golden rows found"),
    (the_base_is_another, "Base model, fingerprint"),
    (the_slot_is_renamed, "Slot, target"),
]


@pytest.mark.parametrize(("happens", "label"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("approved", [False, True], ids=["before the verdict", "after the approval"])
def test_any_change_of_the_evidence_voids_the_request(happens, label, approved):
    request = make.make_request()
    reviewer = make_member(request.project, Role.REVIEWER)
    if approved:
        give(Verdict.APPROVE, request, reviewer)
    happens(request)
    request = DeploymentRequest.objects.get(pk=request.pk)
    with pytest.raises(Stale, match=label.split(",")[0]):
        if approved:
            services.deploy_request(request, by=request.requested_by)
        else:
            give(Verdict.APPROVE, request, reviewer)
    request.refresh_from_db()
    assert request.state == S.VOID
    assert any(change[0].startswith(label) for change in request.void_changes)
    assert request.deployments.count() == 0


def test_measuring_again_with_the_same_result_keeps_the_approval(request_, reviewer):
    give(Verdict.APPROVE, request_, reviewer)
    make.make_evaluation(request_.adapter, golden=request_.evaluation.golden)
    assert services.deploy_request(request_, by=request_.requested_by).state == "queued"


def test_an_approval_expires(request_, reviewer):
    give(Verdict.APPROVE, request_, reviewer)
    request_.decided_at = timezone.now() - timedelta(days=7, seconds=1)
    request_.save()
    with pytest.raises(Stale, match="7 days"):
        services.deploy_request(request_, by=request_.requested_by)
    assert request_.state == S.VOID


@pytest.mark.parametrize("leaves", [True, False])
def test_an_approval_does_not_outlive_its_approvers_role(request_, reviewer, leaves):
    give(Verdict.APPROVE, request_, reviewer)
    membership = Membership.objects.filter(project=request_.project, user=reviewer)
    membership.delete() if leaves else membership.update(role=Role.ENGINEER.value)
    with pytest.raises(Stale, match="no longer a reviewer"):
        services.deploy_request(request_, by=request_.requested_by)
    assert request_.state == S.VOID


def test_a_void_request_can_be_submitted_again_with_new_evidence(request_, reviewer):
    another_evaluation_ends_worse(request_)
    with pytest.raises(Stale):
        give(Verdict.APPROVE, request_, reviewer)
    old = request_.digest
    services.resubmit(request_, by=request_.requested_by, message="Measured twice now.")
    assert request_.digest != old
    assert (request_.void_reason, request_.void_changes) == ("", [])
    give(Verdict.APPROVE, request_, reviewer)
    assert request_.state == S.APPROVED


def test_an_author_renews_a_stale_request_without_waiting_for_a_reviewer(request_, reviewer):
    with pytest.raises(Refused) as refused:
        services.resubmit(request_, by=request_.requested_by)
    assert refused.value.code == "nothing_changed"
    give(Verdict.APPROVE, request_, reviewer)
    another_evaluation_ends_worse(request_)
    services.resubmit(request_, by=request_.requested_by)
    assert (request_.state, request_.decided_by, request_.decided_digest) == (S.SUBMITTED, None, "")
    assert AuditEvent.objects.filter(action="deploymentrequest.void").count() == 1


def test_an_approval_that_is_being_deployed_is_not_renewed(request_, reviewer):
    give(Verdict.APPROVE, request_, reviewer)
    services.deploy_request(request_, by=request_.requested_by)
    another_evaluation_ends_worse(request_)
    with pytest.raises(Refused) as refused:
        services.resubmit(request_, by=request_.requested_by)
    assert refused.value.code == "deploying"


def test_a_verdict_on_a_page_opened_before_a_resubmission_is_refused(request_, reviewer):
    """The reviewer's page shows the first evidence; the author submits other evidence meanwhile."""
    page = DeploymentRequest.objects.get(pk=request_.pk)
    give(Verdict.REQUEST_CHANGES, request_, reviewer)
    services.resubmit(request_, by=request_.requested_by, evaluation=make.make_evaluation(request_.adapter, rows=9))
    with pytest.raises(Refused) as refused:
        give(Verdict.APPROVE, page, reviewer, digest=page.digest)
    assert refused.value.code in {"approval_stale", "evidence_changed", "just_changed"}
    request_.refresh_from_db()
    assert request_.decided_by is None


def test_a_verdict_given_twice_counts_once(request_, reviewer):
    page = DeploymentRequest.objects.get(pk=request_.pk)
    give(Verdict.APPROVE, request_, reviewer)
    with pytest.raises(Refused):
        give(Verdict.APPROVE, page, reviewer)
    assert Review.objects.filter(request=request_).count() == 1


def test_comments_are_no_verdict(request_, reviewer):
    services.comment(request_, by=reviewer, body="Looks good to me")
    with pytest.raises(Refused):
        services.comment(request_, by=reviewer, body="   ")
    with pytest.raises(PermissionDenied):
        services.comment(request_, by=make_member(request_.project, Role.VIEWER), body="Hello")
    request_.refresh_from_db()
    assert request_.state == S.SUBMITTED
