"""What reviewers do: comment, approve, request changes, reject."""

from django.db import transaction
from django.utils import timezone

from deployments.domain import gates, policies
from deployments.domain.states import OUTCOME, Verdict
from deployments.models import Deployment, DeploymentRequest, Review, as_person
from deployments.services import validity
from projects.access import Service, requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.states import ACTIVE
from projects.models import User
from projects.transitions import move, record


@requires(Permission.DEPLOYMENT_COMMENT)
@transaction.atomic
def comment(request: DeploymentRequest, *, by: User, body: str) -> Review:
    if not body.strip():
        raise Invalid("Write something first.", field="body")
    review = Review.objects.create(
        request=request, author=by, verdict=Verdict.COMMENT.value, body=body.strip(), digest=request.digest
    )
    record(request, "deploymentrequest.commented", actor=by.email, reason=body.strip()[:300])
    return review


@requires(Permission.DEPLOYMENT_DECIDE)
def decide(request: DeploymentRequest, *, by: User, verdict: Verdict, digest: str, body: str, session: bool) -> Review:
    """Give a verdict on the evidence with this digest.

    `session` is true when a signed-in person does it; a token never decides. Two reviewers at once: the first
    verdict counts and the second is told so.
    """
    policies.check_decider(_person(by), request.people, session=session)
    policies.check_reason(body, needed=True)
    request.machine.check(type(OUTCOME[verdict])(request.state), OUTCOME[verdict])
    validity.check_seen(request, digest)
    if verdict is Verdict.APPROVE:
        validity.check_evidence(request, actor=by.email)
        policies.check_gates(gates.blocked_by(gates.judge(request.evidence)))
    return _write_down(request, by, verdict, body.strip())


@transaction.atomic
def _write_down(request: DeploymentRequest, by: User, verdict: Verdict, body: str) -> Review:
    seen = request.digest
    validity.check_seen(DeploymentRequest.objects.select_for_update().get(pk=request.pk), seen)
    if Deployment.objects.filter(request=request, state__in=ACTIVE).exists():
        raise Refused("Its deployment has begun. Roll back instead once it is live.", code="deploying")
    move(
        request,
        OUTCOME[verdict],
        actor=by.email,
        reason=body,
        decided_by=by,
        decided_at=timezone.now(),
        decided_digest=seen,
    )
    return Review.objects.create(request=request, author=by, verdict=verdict.value, body=body, digest=seen)


def _person(user: User) -> policies.Person:
    person = as_person(user)
    assert person is not None
    return person


def _giving(verdict: Verdict) -> Service[Review]:
    @requires(Permission.DEPLOYMENT_DECIDE)
    def give(request: DeploymentRequest, *, by: User, digest: str, body: str, session: bool) -> Review:
        return decide(request, by=by, verdict=verdict, digest=digest, body=body, session=session)

    return give


approve = _giving(Verdict.APPROVE)
request_changes = _giving(Verdict.REQUEST_CHANGES)
reject = _giving(Verdict.REJECT)
