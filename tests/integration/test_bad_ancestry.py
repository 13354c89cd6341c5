"""Ancestries that cannot be: adapters that go on from themselves, data made of itself, bases whose host is gone."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments.selectors import evidence
from projects import lineage
from projects.models import Host, Withdrawal
from tests.factories import compatibility as factory
from tests.factories import deployments as make
from tests.factories.projects import make_member, make_project
from training import selectors
from training.domain.compatibility import Verdict
from training.domain.versions import Kind
from training.models import BaseCopy, Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


@pytest.fixture
def ring():
    """Two adapters, each of which went on from the other, over data that descends from itself."""
    first = make.make_adapter()
    second = make.make_adapter(first.project, first.author, parent=first)
    Run.objects.filter(pk=first.run_id).update(parent_adapter=second)
    first.dataset_version.parents.add(first.dataset_version)
    return first, second


def test_a_ring_of_parents_is_said_and_every_page_opens(client, ring):
    first, second = ring
    project = first.project
    client.force_login(first.author)
    names = ("lineage", "compatibility", "retraining", "adapter-list", "request-create")
    pages = [reverse(name, args=[project.slug]) for name in names]
    pages += [row.get_absolute_url() for row in (*ring, first.run, second.run, first.base, first.dataset_version)]
    for page in pages:
        assert client.get(page).status_code == 200, page
    assert "circle" in client.get(pages[0]).content.decode().lower()
    api = f"/api/v1/projects/{project.slug}"
    for path in ("lineage/", f"lineage/nodes/adapter:{first.pk}/impact/", "compatibility/", "retraining/", "adapters/"):
        assert client.get(f"{api}/{path}").status_code == 200, path


def test_what_is_asked_about_a_ring_has_an_end(ring):
    first, second = ring
    assert first.dataset_version in evidence.trained_on(first)
    assert lineage.impact(first.project, f"adapter:{first.pk}").total >= 1
    Withdrawal.objects.create(
        project=first.project, node=f"version:{first.dataset_version_id}", label="data", cause="erased",
        reason="1 row of it was erased.", by=first.author, detail={"rows": [0], "builds": []},
    )  # fmt: skip
    tasks = {task.adapter.pk: task for task in selectors.retrainings(first.project)}
    assert set(tasks) == {first.pk, second.pk}
    assert not any(task.may_begin for task in tasks.values())  # each would have to come before the other


def test_a_base_whose_only_host_is_gone_says_which_and_since_when(client):
    adapter = make.make_adapter()
    base, now = adapter.base, timezone.now()
    BaseCopy.objects.create(base=base, host="gpu-9", state="whole", looked_at=now, verified_at=now)
    Host.objects.create(name="gpu-9", beat_at=now - timedelta(days=2))
    client.force_login(adapter.author)
    page = client.get(base.get_absolute_url()).content.decode()
    assert "gpu-9" in page and "last heard of" in page
    assert client.get(adapter.get_absolute_url()).status_code == 200


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (None, Kind.IDENTICAL),
        ({"fill": 0, "template": "{{ messages }}"}, Kind.WORDS),
        ({"fill": 0, "swap": True}, Kind.WORDS),
        ({"fill": 7}, Kind.WEIGHTS),
        ({"side": 8}, Kind.SHAPES),
    ],
)
def test_two_versions_are_held_beside_each_other_on_the_page_and_over_the_api(client, change, kind):
    project = make_project()
    by = make_member(project)
    one = factory.make_version(project, by)
    other = one if change is None else factory.make_version(project, by, **change)
    client.force_login(by)
    address = f"{reverse('base-compare', args=[project.slug])}?one={one.pk}&other={other.pk}"
    page = client.get(address).content.decode()
    told = client.get(f"/api/v1/projects/{project.slug}/bases/{one.pk}/compare/?other={other.pk}").json()
    assert told["kind"] == kind
    assert told["title"] in page
    assert page.count("Differs") == sum(not field["same"] for field in told["fields"])


def test_pairs_of_the_same_shapes_are_judged_once_and_alike():
    project = make_project()
    by = make_member(project)
    adapter, other = factory.make_quick_pair(project, by)
    again, _ = factory.make_quick_pair(project, by)
    assert selectors.structure(adapter, other).verdict == Verdict.DRIFTED
    assert selectors.structure(again, other).codes == selectors.structure(adapter, other).codes
