"""The audit log: every change with actor, time and reason, never altered, seen by those who may."""

import pytest

from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import AuditEvent, Membership
from projects.services import invitations, people, tokens
from projects.services import projects as services
from projects.transitions import record
from tests.factories.projects import make_member, make_project, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return make_user("olga@example.org")


@pytest.fixture
def project(owner):
    return services.create_project(by=owner, name="Routing")


def test_every_change_about_people_leaves_a_line(project, owner):
    emil = make_user("emil@example.org")
    _, secret = invitations.invite_member(project, by=owner, role=Role.ENGINEER)
    invitations.accept_invitation(secret, by=emil)
    spare, _ = invitations.invite_member(project, by=owner, role=Role.VIEWER)
    invitations.revoke_invitation(spare, by=owner, reason="a mistake")
    token, _ = tokens.create_token(project, by=emil, name="t")
    tokens.revoke_token(token, by=emil)
    services.change_settings(project, by=owner, name="Ticket routing", reason="clearer")
    member = Membership.objects.get(user=emil)
    people.change_role(member, by=owner, role=Role.REVIEWER)
    people.leave_project(project, by=emil)

    lines = list(AuditEvent.objects.order_by("pk").values_list("action", "actor", "reason"))

    assert lines == [
        ("project.created", "olga@example.org", ""),
        ("invitation.created", "olga@example.org", ""),
        ("invitation.accepted", "emil@example.org", ""),
        ("invitation.created", "olga@example.org", ""),
        ("invitation.revoked", "olga@example.org", "a mistake"),
        ("apitoken.created", "emil@example.org", ""),
        ("apitoken.revoked", "emil@example.org", ""),
        ("project.changed", "olga@example.org", "clearer"),
        ("membership.changed", "olga@example.org", ""),
        ("membership.left", "emil@example.org", ""),
    ]
    assert set(AuditEvent.objects.values_list("project_slug", flat=True)) == {project.slug}


def test_a_change_that_changes_nothing_leaves_no_line(project, owner):
    before = AuditEvent.objects.count()

    services.change_settings(project, by=owner, name=project.name)
    people.change_role(Membership.objects.get(user=owner), by=owner, role=Role.OWNER)

    assert AuditEvent.objects.count() == before


def test_a_refused_change_leaves_no_line(project, owner):
    before = AuditEvent.objects.count()

    with pytest.raises(Refused):
        people.leave_project(project, by=owner)

    assert AuditEvent.objects.count() == before


def test_a_line_is_never_changed(project):
    event = AuditEvent.objects.first()
    event.actor = "somebody else"

    with pytest.raises(Refused, match="only ever added"):
        event.save()


def test_the_page_filters_by_person_action_and_target(client, project, owner):
    client.force_login(owner)
    emil = make_member(project, Role.ENGINEER, email="emil@example.org")
    tokens.create_token(project, by=emil, name="nightly upload")
    record(make_project(), "project.created", actor="stranger@example.org")

    def shown(query):
        return [event.action for event, _ in client.get(f"/projects/{project.slug}/audit/?{query}").context["lines"]]

    assert shown("") == ["apitoken.created", "project.created"]
    assert shown("actor=EMIL") == ["apitoken.created"]
    assert shown("action=project.created") == ["project.created"]
    assert shown("target=nightly") == ["apitoken.created"]
    assert shown("actor=stranger") == []
    assert shown("action=nonsense") == ["apitoken.created", "project.created"], "an unknown filter filters nothing"


def test_the_page_is_paged_and_keeps_its_filter(client, project, owner):
    client.force_login(owner)
    for number in range(120):
        record(project, "project.changed", actor=owner.email, reason=f"reason {number}")

    page = client.get(f"/projects/{project.slug}/audit/?action=project.changed&page=2")

    assert len(page.context["lines"]) == 50
    assert "action=project.changed&amp;page=3" in page.content.decode()


def test_a_change_of_prices_is_shown_as_old_and_new(client, project, owner):
    services.change_settings(project, by=owner, gpu_hour_price=services.Decimal("4.2"))
    client.force_login(owner)

    assert "gpu hour price: 3.5000 → 4.2" in client.get(f"/projects/{project.slug}/audit/").content.decode()


def test_reasons_are_shown_as_text(client, project, owner):
    record(project, "project.changed", actor="<img src=x onerror=alert(1)>", reason="<script>alert(1)</script>")
    client.force_login(owner)

    page = client.get(f"/projects/{project.slug}/audit/").content.decode()

    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page


def test_a_viewer_does_not_read_the_log(client, project):
    client.force_login(make_member(project, Role.VIEWER))

    assert client.get(f"/projects/{project.slug}/audit/").status_code == 403
    assert client.get(f"/api/v1/projects/{project.slug}/audit/").status_code == 403
    assert client.get(f"/projects/{project.slug}/").context["events"] is None


def test_the_api_filters_like_the_page(client, project, owner):
    client.force_login(owner)
    tokens.create_token(project, by=owner, name="nightly")

    answer = client.get(f"/api/v1/projects/{project.slug}/audit/?target=nightly").json()

    assert [line["action"] for line in answer["results"]] == ["apitoken.created"]
    assert answer["results"][0]["detail"] == {"scope": "read", "days": 30}
    assert client.get(f"/api/v1/projects/{project.slug}/audit/?detail__x=1").json()["code"] == "unknown_filter"
