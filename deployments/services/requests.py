"""Asking for a deployment, asking again, and taking the question back."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from datasets_app import services as dataset_services
from deployments import rollout
from deployments.domain import evidence, policies
from deployments.domain.states import RequestState
from deployments.models import Deployment, DeploymentRequest, Slot
from deployments.selectors import evidence as gathering
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import ACTIVE
from projects.models import Project, User
from projects.transitions import move, record
from training import services as training


class NotYours(Refused):
    status = 403
    code = "not_your_request"


@requires(Permission.DEPLOYMENT_REQUEST)
def request_deployment(
    project: Project,
    *,
    by: User,
    slot: Slot,
    adapter: Any,
    evaluation: Any | None,
    message: str = "",
    base_decision_reason: str = "",
) -> DeploymentRequest:
    """Ask for an adapter to go live; its evidence is gathered now and shown to whoever decides.

    Evaluated on another base than it was trained on, somebody must answer for it: before, or in `base_decision_reason`.
    """
    _check_subjects(project, slot, adapter, evaluation)
    try:
        with transaction.atomic():
            if evaluation is not None:
                training.settle(adapter, evaluation.base, by=by, reason=base_decision_reason)
            facts = _evidence(slot, adapter, evaluation)
            request = DeploymentRequest.objects.create(
                project=project,
                slot=slot,
                adapter=adapter,
                evaluation=evaluation,
                requested_by=by,
                **_authors(adapter),
                message=message,
                evidence=facts,
                digest=evidence.digest(facts),
            )
            record(request, "deploymentrequest.submitted", actor=by.email, reason=message, digest=request.digest)
    except IntegrityError as twice:
        raise _already_open(adapter, slot) from twice
    return request


def _authors(adapter: Any) -> dict[str, User | None]:
    """Whose own work the adapter is: they may ask for it, and not decide."""
    if adapter.run is None:
        return {"imported_by": adapter.imported.imported_by}
    return {"run_started_by": adapter.run.started_by, "run_created_by": adapter.run.created_by}


@requires(Permission.DEPLOYMENT_REQUEST)
def resubmit(
    request: DeploymentRequest, *, by: User, message: str = "", evaluation: Any | None = None
) -> DeploymentRequest:
    """Put a request back to its reviewers with new evidence; earlier verdicts no longer count."""
    _check_author(request, by)
    _end_what_is_stale(request, by)
    chosen = evaluation or request.evaluation
    _check_subjects(request.project, request.slot, request.adapter, chosen)
    facts = _evidence(request.slot, request.adapter, chosen)
    try:
        move(
            request,
            RequestState.SUBMITTED,
            actor=by.email,
            reason=message,
            evaluation=chosen,
            message=message or request.message,
            evidence=facts,
            digest=evidence.digest(facts),
            submitted_at=timezone.now(),
            decided_by=None,
            decided_at=None,
            decided_digest="",
            void_reason="",
            void_changes=[],
        )
    except IntegrityError as twice:
        raise _already_open(request.adapter, request.slot) from twice
    return request


@requires(Permission.DEPLOYMENT_REQUEST)
def withdraw(request: DeploymentRequest, *, by: User, reason: str = "") -> DeploymentRequest:
    """Take a request back; possible until its deployment has begun."""
    _check_author(request, by)
    with transaction.atomic():
        _check_at_rest(request)
        move(request, RequestState.WITHDRAWN, actor=by.email, reason=reason)
    return request


def _end_what_is_stale(request: DeploymentRequest, by: User) -> None:
    """Its author need not wait for a reviewer to notice that the evidence has changed."""
    if request.state not in {RequestState.SUBMITTED, RequestState.APPROVED}:
        return
    changes = gathering.changes_since(request)
    if not changes and not (request.decided_at and policies.has_expired(request.decided_at, timezone.now())):
        raise Refused("Nothing in its evidence has changed since. Wait for its reviewers.", code="nothing_changed")
    with transaction.atomic():
        _check_at_rest(request)
        rollout.void(request, "Its author submits it again", changes, actor=by.email)


def _check_at_rest(request: DeploymentRequest) -> None:
    """Locks the request; refuses once its deployment has begun."""
    DeploymentRequest.objects.select_for_update().get(pk=request.pk)
    if Deployment.objects.filter(request=request, state__in=ACTIVE).exists():
        raise Refused("Its deployment has begun. Roll back instead once it is live.", code="deploying")


def _evidence(slot: Slot, adapter: Any, evaluation: Any | None) -> dict[str, Any]:
    if evaluation is not None:
        for version in filter(None, gathering.trained_on(adapter)):
            dataset_services.ensure_overlaps(version)
    return gathering.collect(slot, adapter, evaluation)


def _check_author(request: DeploymentRequest, by: User) -> None:
    if request.requested_by_id != by.pk:
        raise NotYours(f"Only {request.requested_by}, who made this request, can do that.")


def _check_subjects(project: Project, slot: Slot, adapter: Any, evaluation: Any | None) -> None:
    for field, thing in (("slot", slot), ("adapter", adapter), ("evaluation", evaluation)):
        if thing is not None and thing.project.pk != project.pk:
            raise Invalid(f"This project has no such {field}.", code="not_in_project", field=field)
    if evaluation is not None and evaluation.adapter_id != adapter.pk:
        raise Invalid("That evaluation is of another adapter. Choose one of this adapter.", field="evaluation")
    live = Deployment.objects.filter(slot=slot, live=True, adapter=adapter).exists()
    if live:
        raise Refused(f"{adapter.name} is already live in {slot.name}.", code="already_live", field="adapter")


def _already_open(adapter: Any, slot: Slot) -> Refused:
    return Refused(
        f"There is already an open request for {adapter.name} in {slot.name}. Continue with that one.",
        code="already_requested",
        field="adapter",
    )
