"""What waits for whom, and what may not be deleted while something descends from it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from datasets_app import services as datasets
from deployments import services
from deployments.models import Deployment
from deployments.selectors.needs import needs
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from tests.factories import deployments as make
from tests.factories.projects import make_member, run_jobs
from training.services import adapters, bases, runs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


@pytest.fixture
def asked():
    return make.make_request()


@pytest.fixture
def reviewer(asked):
    return make_member(asked.project, Role.REVIEWER)


def kinds(request, user):
    return [need.kind for need in needs(request.project, user)]


def test_a_review_waits_for_reviewers_who_may_decide(asked, reviewer):
    waiting = needs(asked.project, reviewer)
    assert [(need.kind, need.url) for need in waiting] == [("review", asked.get_absolute_url())]
    assert kinds(asked, asked.requested_by) == []
    assert kinds(asked, make_member(asked.project, Role.VIEWER)) == []


def test_a_review_does_not_wait_for_somebody_tied_to_it():
    adapter = make.make_adapter()
    owner = make_member(adapter.project, Role.OWNER)
    asked = make.make_request(adapter, by=owner)
    assert kinds(asked, owner) == []


def test_changes_requested_wait_for_the_author(asked, reviewer):
    services.request_changes(asked, by=reviewer, digest=asked.digest, body=make.REASON, session=True)
    assert kinds(asked, asked.requested_by) == ["changes_requested"]
    assert kinds(asked, reviewer) == []


def test_an_approved_request_waits_for_its_deployment(asked, reviewer):
    make.approve(asked, reviewer)
    assert kinds(asked, asked.requested_by) == ["deploy"]


@pytest.mark.parametrize("why", ["old", "changed"])
def test_approvals_gone_stale_are_shown_before_anybody_deploys(asked, reviewer, why):
    make.approve(asked, reviewer)
    if why == "old":
        asked.decided_at = timezone.now() - timedelta(days=8)
        asked.save()
    else:
        asked.evaluation.summary["n"] = 7
        asked.evaluation.save()
    assert kinds(asked, asked.requested_by) == ["stale"]


def test_a_void_request_waits_for_its_author(asked, reviewer):
    make.approve(asked, reviewer)
    asked.evaluation.summary["n"] = 7
    asked.evaluation.save()
    with pytest.raises(Refused):
        services.deploy_request(type(asked).objects.get(pk=asked.pk), by=asked.requested_by)
    assert kinds(asked, asked.requested_by) == ["approval_void"]


def test_a_failed_switch_waits_until_a_later_one_succeeds(settings):
    live = make.make_live()
    engine = settings.ENGINES
    settings.ENGINES = engine | {"deployments.deployment": ["false"]}
    asked = make.approve(make.make_request(make.make_adapter(live.project), live.slot))
    services.deploy_request(asked, by=asked.requested_by)
    run_jobs()
    assert "deployment_failed" in kinds(asked, asked.requested_by)
    settings.ENGINES = engine
    services.deploy_request(asked, by=asked.requested_by)
    run_jobs()
    assert kinds(asked, asked.requested_by) == []
    assert Deployment.objects.get(live=True).adapter == asked.adapter


def test_nothing_that_a_request_stands_on_can_be_deleted(asked):
    owner = make_member(asked.project, Role.OWNER)
    adapter = asked.adapter
    for act in (
        lambda: datasets.delete_dataset(adapter.dataset_version.dataset, by=owner),
        lambda: datasets.delete_dataset(asked.evaluation.golden.dataset, by=owner),
        lambda: adapters.delete_adapter(adapter, by=owner),
        lambda: runs.delete_run(adapter.run, by=owner),
        lambda: bases.delete_base(adapter.base, by=owner),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "has_descendants"
    adapter.refresh_from_db()
    assert adapter.run.dataset_version.dataset.pk
