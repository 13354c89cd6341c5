"""Putting an approved adapter live, and going back to what was live before."""

from typing import Any

from django.db import IntegrityError, transaction

from deployments.domain.states import RequestState, RolloutKind
from deployments.models import Deployment, DeploymentRequest, Slot
from deployments.selectors import slots
from deployments.services import validity
from projects import leases
from projects.access import requires
from projects.domain.errors import Refused
from projects.domain.permissions import Permission
from projects.models import User


@requires(Permission.DEPLOYMENT_DEPLOY)
def deploy_request(request: DeploymentRequest, *, by: User) -> Deployment:
    """Start the deployment of an approved request, if its approval still is about what is there."""
    request.machine.check(RequestState(request.state), RequestState.DEPLOYED)
    validity.check_approval(request, actor=by.email)
    validity.check_evidence(request, actor=by.email)
    with transaction.atomic():
        # Whoever voids or withdraws meanwhile waits here, or has been here first.
        row = DeploymentRequest.objects.select_for_update().get(pk=request.pk)
        row.machine.check(RequestState(row.state), RequestState.DEPLOYED)
        return _queue(
            by,
            slot=row.slot,
            request=row,
            adapter=row.adapter,
            kind=RolloutKind.DEPLOY,
            reason=row.message[:2000],
            priority=1,
        )


@requires(Permission.DEPLOYMENT_DEPLOY)
def roll_back(slot: Slot, *, by: User, reason: str = "", to: Deployment | None = None) -> Deployment:
    """Go back to an adapter that was approved for and live in this slot before the present one.

    Needs no approval, since it only ever goes backwards; forwards always takes a new request.
    """
    earlier = slots.rollback_targets(slot)
    target = to or (earlier[0] if earlier else None)
    if target is None:
        raise Refused("Nothing was live here before, so there is nothing to go back to.", code="nothing_before")
    if target.pk not in {deployment.pk for deployment in earlier}:
        raise Refused(
            "You can only roll back to an adapter that was live here before the present one.",
            code="not_a_rollback",
            field="to",
        )
    with transaction.atomic():
        return _queue(
            by,
            slot=slot,
            request=target.request,
            adapter=target.adapter,
            kind=RolloutKind.ROLLBACK,
            back_to=target,
            reason=reason,
            priority=9,
        )


@requires(Permission.DEPLOYMENT_DEPLOY)
def retry_deployment(deployment: Deployment, *, by: User) -> Deployment:
    """Try a failed switch again; a forward one as a fresh deployment with all its checks."""
    if deployment.kind == RolloutKind.DEPLOY:
        return deploy_request(deployment.request, by=by)
    return roll_back(deployment.slot, by=by, reason=deployment.reason, to=deployment.back_to)


def _queue(by: User, *, slot: Slot, priority: int, kind: RolloutKind, **fields: Any) -> Deployment:
    adapter = fields["adapter"]
    try:
        with transaction.atomic():
            deployment = Deployment.objects.create(
                project=slot.project,
                slot=slot,
                kind=kind.value,
                manifest=adapter.manifest,
                deployed_by=by,
                **fields,
            )
            leases.queue_job(deployment, actor=by.email, priority=priority)
    except IntegrityError as busy:
        raise Refused(
            f"{slot.name} is being switched at this moment. Wait until that is done.", code="slot_busy"
        ) from busy
    return deployment
