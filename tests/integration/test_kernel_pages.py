"""What every page and every call has in common: refusals, errors, headers, health, the first account."""

import io
import json

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.http import Http404
from django.test import Client, RequestFactory

from projects import access
from projects.access import Service
from projects.domain.errors import Refused
from projects.domain.permissions import Permission, Role
from projects.domain.states import JobState
from projects.models import AuditEvent, Membership, Project, User
from projects.services import people
from projects.services import projects as services
from projects.transitions import JustChanged, move
from projects.views import errors
from tests.factories.projects import make_member, make_project, make_user
from tests.factories.toys import make_kind, make_toy

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return make_project(name="Routing", slug="routing")


# Refusals


def test_a_refusal_is_a_page_with_its_words_and_a_way_back(client, project):
    client.force_login(make_member(project, Role.OWNER))
    back = "http://testserver/projects/routing/settings/"

    answer = client.post("/projects/routing/leave/", headers={"Referer": back})

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "The last owner of a project cannot leave" in page
    assert f'href="{back}"' in page


def test_a_refusal_never_leads_to_a_foreign_page(client, project):
    client.force_login(make_member(project, Role.OWNER))

    answer = client.post("/projects/routing/leave/", headers={"Referer": "https://evil.example/x"})

    assert "evil.example" not in answer.content.decode()


def test_htmx_gets_a_refusal_as_a_fragment(client, project):
    client.force_login(make_member(project, Role.OWNER))

    answer = client.post("/projects/routing/leave/", headers={"HX-Request": "true"})

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "The last owner" in page
    assert "<html" not in page


def test_a_page_that_cannot_be_shown_so_leads_to_itself_as_it_is(client, project):
    client.force_login(make_member(project, Role.VIEWER))

    answer = client.get("/projects/routing/runs/?state=zzz")

    page = answer.content.decode()
    assert answer.status_code == 400
    assert "This cannot be shown" in page
    assert 'href="/projects/routing/runs/"' in page.split('role="alert"')[1].split("</main>")[0]
    assert "Nothing has been changed" not in page
    assert client.get("/projects/routing/runs/").status_code == 200


# Errors


@pytest.mark.parametrize("address", ["/nothing/here/", "/projects/no-such-project/", "/projects/routing/nothing/"])
def test_what_is_not_there_is_a_page_of_ours(client, project, address):
    client.force_login(make_user())

    answer = client.get(address)

    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_the_api_answers_in_its_own_shape_also_where_nothing_is(client):
    answer = client.get("/api/v1/nothing/here/")

    assert answer.status_code == 404
    assert answer.json() == {"code": "not_found", "message": "There is nothing here, or it is not yours to see."}


def test_a_missing_right_says_which_and_whom_to_ask(client, project):
    client.force_login(make_member(project, Role.VIEWER))

    answer = client.post("/projects/routing/settings/", {})

    assert answer.status_code == 403
    assert "project.manage" in answer.content.decode()


def broken_answer(path, error):
    try:
        raise error
    except type(error):
        return errors.broken(RequestFactory().get(path))


def test_a_break_is_500_and_an_absent_database_503():
    page, call = broken_answer("/projects/", ValueError()), broken_answer("/api/v1/me/", ValueError())
    assert (page.status_code, call.status_code) == (500, 500)
    assert b'"code": "broken"' in call.content
    assert b"Something broke" in page.content

    page, call = broken_answer("/projects/", OperationalError()), broken_answer("/api/v1/me/", OperationalError())
    assert (page.status_code, call.status_code) == (503, 503)
    assert page["Retry-After"] == call["Retry-After"] == "10"


@pytest.mark.parametrize(
    ("number", "status", "code"), [(28, 507, "storage_full"), (122, 507, "storage_full"), (5, 500, "broken")]
)
def test_a_full_disk_is_told_as_what_it_is(number, status, code):
    answer = broken_answer("/api/v1/me/", OSError(number, "no room"))
    assert (answer.status_code, json.loads(answer.content)["code"]) == (status, code)


def test_an_absent_database_is_told_to_people_and_programs(project, monkeypatch):
    user = make_member(project, Role.OWNER)
    client = Client(raise_request_exception=False)
    client.force_login(user)

    def away(*_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(access, "entered", away)
    monkeypatch.setattr(access, "entered_among", away)

    assert client.get("/projects/routing/").status_code == 503
    answer = client.get("/api/v1/projects/routing/")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_whoever_enters_has_their_own_role_and_not_that_of_another_member(project):
    people = {role: make_member(project, role) for role in Role}
    other = Project.objects.create(name="Other", slug="other")
    other.memberships.create(user=people[Role.VIEWER], role=Role.OWNER)

    assert {role: access.entered(user, "routing")[1] for role, user in people.items()} == {role: role for role in Role}
    assert access.entered(people[Role.VIEWER], "other") == (other, Role.OWNER)
    project, role, mine = access.entered_among(people[Role.VIEWER], "routing")
    assert (project.slug, role, [one.slug for one in mine]) == ("routing", Role.VIEWER, ["other", "routing"])
    assert access.may(people[Role.VIEWER], Permission.PROJECT_VIEW, project)
    assert not access.may(people[Role.VIEWER], Permission.DATASET_EDIT, project), "owner of another, viewer of this"
    assert access.entered_among(people[Role.OWNER], "routing")[2] == [project]
    for enter in (access.entered, access.entered_among):
        for nobody, slug in ((people[Role.OWNER], "other"), (AnonymousUser(), "routing"), (people[Role.OWNER], "none")):
            with pytest.raises(Http404):
                enter(nobody, slug)


# Headers and health


@pytest.mark.parametrize("address", ["/sign-in/", "/nothing/", "/health/live", "/api/v1/me/"])
def test_every_answer_forbids_frames_and_inline_scripts(client, address):
    headers = client.get(address).headers

    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_health_tells_whether_the_database_answers(client, monkeypatch):
    assert client.get("/health/live").json() == {"status": "ok"}
    never = {"age_seconds": None, "late": True}
    ready = client.get("/health/ready").json()
    unknown = {"status": "not checked yet"}
    canaries = {"cpu": never, "gpu": never}
    assert ready == {"status": "ok", "database": "ok", "canaries": canaries, "invariants": unknown}

    def away(self, *args, **kwargs):
        raise OperationalError("could not connect")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", away)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert client.get("/health/live").status_code == 200


def test_browsers_find_an_icon_and_the_first_page(client):
    assert client.get("/favicon.ico")["Location"].endswith(".svg")
    assert client.get("/")["Location"] == "/projects/"


@pytest.mark.parametrize("host", ["evil.example", "routing.localhost.evil.example"])
def test_a_foreign_host_is_refused(client, host):
    assert client.get("/sign-in/", headers={"Host": host}).status_code == 400


def test_signing_in_needs_the_csrf_token():
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/sign-in/", {"username": "a@example.org", "password": "x"})

    assert answer.status_code == 403
    assert "open for too long" in answer.content.decode()


# Services


def test_a_service_asks_whoever_calls_it(project):
    outsider, viewer = make_user(), make_member(project, Role.VIEWER)

    for person in (outsider, viewer):
        with pytest.raises(access.PermissionDenied):
            services.change_settings(project, by=person, name="Mine")
    project.refresh_from_db()
    assert project.name == "Routing"


def test_a_service_takes_the_project_from_what_it_works_on(project):
    owner_elsewhere = make_member(make_project(), Role.OWNER)
    member = Membership.objects.get(user=make_member(project, Role.VIEWER))

    with pytest.raises(access.PermissionDenied):
        people.change_role(member, by=owner_elsewhere, role=Role.OWNER)


def test_a_service_carries_its_permission():
    assert isinstance(services.change_settings, Service)
    assert services.change_settings.permission is Permission.PROJECT_MANAGE


def test_only_settings_can_be_changed_as_settings(project):
    owner = make_member(project, Role.OWNER)

    with pytest.raises(TypeError, match="slug"):
        services.change_settings(project, by=owner, slug="mine")


# Moves


def test_of_two_moves_of_one_row_the_slower_is_refused(project, toys, tmp_path):
    make_kind(tmp_path)
    toy = make_toy(project)
    stale = type(toy).objects.get(pk=toy.pk)

    move(toy, JobState.QUEUED, actor="anna@example.org", reason="first")
    with pytest.raises(JustChanged, match="Reload"):
        move(stale, JobState.QUEUED, actor="berta@example.org")

    event = AuditEvent.objects.get(action="toy.queued")
    assert (event.actor, event.reason, event.detail) == ("anna@example.org", "first", {"from": "draft"})


def test_a_move_that_the_table_does_not_know_is_refused_and_leaves_no_line(project, toys, tmp_path):
    make_kind(tmp_path)
    toy = make_toy(project)
    final = next(state for state, followers in toy.machine.moves.items() if not followers)

    with pytest.raises(Refused, match="cannot become"):
        move(toy, final, actor="anna@example.org")
    assert not AuditEvent.objects.exists()


# The first account


def test_the_first_account_is_made_on_the_command_line(client):
    out = io.StringIO()
    call_command("create_owner", "olga@example.org", "--name", "Olga", stdout=out)

    password = out.getvalue().split("shown only now: ")[1].split()[0]
    assert client.post("/sign-in/", {"username": "olga@example.org", "password": password}).status_code == 302


@pytest.mark.parametrize(("email", "message"), [("olga", "no e-mail address"), ("OLGA@example.org", "already")])
def test_a_bad_or_taken_address_is_refused_on_the_command_line(email, message):
    make_user("olga@example.org")

    with pytest.raises(CommandError, match=message):
        call_command("create_owner", email, stdout=io.StringIO())
    assert User.objects.count() == 1
