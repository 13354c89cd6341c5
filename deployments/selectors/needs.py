"""What in this app waits for one person: reviews, their own requests sent back, approvals gone stale."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from deployments.domain import policies
from deployments.domain.states import RequestState
from deployments.models import DeploymentRequest, as_person
from deployments.selectors import evidence as gathering
from projects import access, lineage
from projects.contributions import Need
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import Project, User

AT_MOST = 20  # of each kind; more would not be read


def needs(project: Project, user: User) -> list[Need]:
    found = [*_mine(project, user), *_failed(project, user), *_stale(project)]
    if access.may(user, Permission.DEPLOYMENT_DECIDE, project):
        found += _reviews(project, user)
    if access.may(user, Permission.DEPLOYMENT_DEPLOY, project):
        found += _approved(project)
    return found


def _requests(project: Project, state: RequestState) -> list[DeploymentRequest]:
    return list(
        project.deployment_requests.filter(state=state)
        .select_related(
            "project",
            "slot",
            "adapter",
            "requested_by",
            "run_started_by",
            "run_created_by",
            "imported_by",
            "decided_by",
        )
        .order_by("submitted_at")[:AT_MOST]
    )


def _need(text: str, request: DeploymentRequest, tone: str, at: datetime | None, kind: str) -> Need:
    return Need(text, request.get_absolute_url(), tone, at or request.submitted_at, kind)


def _reviews(project: Project, user: User) -> Iterator[Need]:
    person = as_person(user)
    assert person is not None
    for request in _requests(project, RequestState.SUBMITTED):
        if not policies.why_not_decide(person, request.people):
            text = f"{request.requested_by} asks to deploy {request.adapter} to {request.slot}"
            yield _need(text, request, "attention", request.submitted_at, "review")


def _mine(project: Project, user: User) -> Iterator[Need]:
    for request in _requests(project, RequestState.CHANGES_REQUESTED):
        if request.requested_by_id == user.pk:
            text = f"{request.decided_by} asks for changes: {request.adapter} to {request.slot}"
            yield _need(text, request, "attention", request.decided_at, "changes_requested")
    for request in _requests(project, RequestState.VOID):
        if request.requested_by_id == user.pk:
            text = f"The approval of {request.adapter} for {request.slot} is void: submit it again or withdraw it"
            yield _need(text, request, "void", request.decided_at, "approval_void")


def _approved(project: Project) -> Iterator[Need]:
    """Approved requests wait for their deployment, or have gone stale without anybody touching them."""
    for request in _requests(project, RequestState.APPROVED):
        what = f"{request.adapter} for {request.slot}"
        assert request.decided_at is not None
        if policies.has_expired(request.decided_at, timezone.now()):
            yield _need(f"The approval of {what} has expired", request, "void", request.decided_at, "stale")
        elif gathering.changes_since(request, trusting_files=True):
            text = f"The approval of {what} has gone stale: its evidence changed"
            yield _need(text, request, "void", request.decided_at, "stale")
        else:
            yield _need(f"{what} is approved and can be deployed", request, "waiting", request.decided_at, "deploy")


def _stale(project: Project) -> Iterator[Need]:
    """What is live and stands on something that was withdrawn, erased or found contaminated."""
    live = {f"deployment:{d.pk}": d for d in project.deployments.filter(live=True).select_related("slot", "adapter")}
    for node, marks in (lineage.stale(project, *live) if live else {}).items():
        deployment, mark = live[node], marks[0]
        text = f"{deployment.slot} runs {deployment.adapter}, which is stale ({mark.words}): {mark.reason}"
        url = f"{reverse('lineage', args=[project.slug])}?focus={node}&node={node}"
        yield Need(text, url, "void", mark.since or deployment.created_at, "stale_live")


def _failed(project: Project, user: User) -> Iterator[Need]:
    """Switches that failed and that nothing newer in the slot has made irrelevant."""
    if not access.may(user, Permission.DEPLOYMENT_DEPLOY, project):
        return
    for slot in project.slots.select_related("project"):
        last = slot.deployments.order_by("-pk").select_related("adapter").first()
        if last is not None and last.state == JobState.FAILED and last.finished_at:
            text = f"Deployment of {last.adapter} to {slot} failed: {last.error_message}"
            yield Need(text, slot.get_absolute_url(), "failed", last.finished_at, "deployment_failed")
