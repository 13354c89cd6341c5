"""Many at once, each in its own connection: exactly one effect, and everybody else is told so."""

from threading import Barrier, Thread

import pytest
from django.db import OperationalError, connection

from deployments import services
from deployments.domain.states import RequestState, Verdict
from deployments.models import Deployment, DeploymentRequest, Review
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent
from tests.factories import deployments as make
from tests.factories.projects import make_member

pytestmark = pytest.mark.django_db(transaction=True)


def together(*acts):
    """Run all at the same moment; returns ("done" or the code of the refusal) of each."""
    barrier, ends = Barrier(len(acts)), [""] * len(acts)

    def one(index, act):
        barrier.wait()
        try:
            act()
            ends[index] = "done"
        except Refused as refused:
            ends[index] = refused.code
        except OperationalError as error:
            ends[index] = str(error)
        finally:
            connection.close()

    threads = [Thread(target=one, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def fresh(request):
    return DeploymentRequest.objects.get(pk=request.pk)


def test_two_reviewers_with_opposite_verdicts():
    request = make.make_request()
    reviewers = [make_member(request.project, Role.REVIEWER) for _ in range(6)]
    verdicts = [Verdict.APPROVE, Verdict.REQUEST_CHANGES, Verdict.REQUEST_CHANGES] * 2

    def deciding(by, verdict):
        return lambda: services.decide(
            fresh(request), by=by, verdict=verdict, digest=request.digest, body=make.REASON, session=True
        )

    ends = together(*(deciding(by, verdict) for by, verdict in zip(reviewers, verdicts, strict=True)))
    assert ends.count("done") == 1
    assert set(ends) <= {"done", "just_changed", "illegal_transition"}
    assert Review.objects.filter(request=request).count() == 1
    won = reviewers[ends.index("done")]
    assert fresh(request).decided_by == won
    assert AuditEvent.objects.filter(actor=won.email, action__startswith="deploymentrequest.").count() == 1


def test_a_deployment_started_many_times_at_once():
    request = make.approve(make.make_request())
    ends = together(*[lambda: services.deploy_request(fresh(request), by=request.requested_by)] * 6)
    assert ends.count("done") == 1
    assert set(ends) == {"done", "slot_busy"}
    assert Deployment.objects.count() == 1


def test_deploying_against_withdrawing():
    request = make.approve(make.make_request())
    by = request.requested_by
    ends = together(
        lambda: services.deploy_request(fresh(request), by=by), lambda: services.withdraw(fresh(request), by=by)
    )
    assert ends.count("done") == 1
    state, started = fresh(request).state, Deployment.objects.count()
    assert (state, started) in {(RequestState.WITHDRAWN, 0), (RequestState.APPROVED, 1)}


def test_one_request_asked_for_many_times_at_once():
    adapter = make.make_adapter()
    slot = make.make_slot(adapter.project)
    evaluation = make.make_evaluation(adapter)
    by = make_member(adapter.project)
    ends = together(
        *[
            lambda: services.request_deployment(
                adapter.project, by=by, slot=slot, adapter=adapter, evaluation=evaluation
            )
        ]
        * 6
    )
    assert ends.count("done") == 1
    assert set(ends) == {"done", "already_requested"}
    assert DeploymentRequest.objects.count() == 1
