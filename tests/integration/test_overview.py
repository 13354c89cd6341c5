"""The first page of a project, its settings, and the list of projects."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from projects import contributions, leases
from projects.contributions import Figure, Need
from projects.domain.permissions import Role
from projects.models import AuditEvent, Membership, Project
from projects.selectors import overview
from projects.services import projects as services
from projects.transitions import record
from tests.factories.projects import make_member, make_project, make_user
from tests.factories.toys import Toy, make_kind, queued_toy
from tests.integration.test_costs import spend

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return make_project(name="Routing", slug="routing")


@pytest.fixture
def owner(project, client):
    user = make_member(project, Role.OWNER)
    client.force_login(user)
    return user


@pytest.fixture
def only(monkeypatch):
    """Only the contributions that a test makes."""
    for name in ("needs", "overview_figures"):
        monkeypatch.setattr(contributions, name, [])
    return contributions


def test_a_new_project_shows_its_first_steps(client, project, owner):
    page = client.get("/projects/routing/").content.decode()

    assert "First steps" in page
    for step in overview.STEPS:
        assert step.title in page
    assert "Nothing waits for you" in page


def test_a_step_is_done_when_the_log_says_so_and_the_list_goes_when_all_are(project):
    assert [step.done for step in overview.first_steps(project)] == [False] * 5
    record(project, "upload.succeeded", actor="worker")
    record(make_project(), "run.succeeded", actor="worker")
    assert [step.done for step in overview.first_steps(project)] == [False, True, False, False, False]

    for action in (
        "basemodelversion.succeeded",
        "run.succeeded",
        "evaluation.succeeded",
        "deploymentrequest.submitted",
    ):
        record(project, action, actor="worker")
    assert overview.first_steps(project) == []


def test_needs_are_sorted_by_gravity_and_age(client, project, owner, only):
    now = timezone.now()

    def need(text, tone, hours):
        return Need(text, f"/{text}", tone, now - timedelta(hours=hours), "review")

    only.needs.append(lambda project, user: [need("old review", "attention", 5), need("upload", "waiting", 0)])
    only.needs.append(lambda project, user: [need("failed run", "failed", 9), need("review", "attention", 1)])

    assert [n.text for n in overview.needs(project, owner)] == ["failed run", "review", "old review", "upload"]
    page = client.get("/projects/routing/").content.decode()
    assert 'href="/failed run"' in page
    assert "9\u202fh ago" in page


def test_needs_are_asked_for_the_person_who_looks(project, only):
    asked = []
    only.needs.append(lambda project, user: asked.append((project, user)) or [])
    person = make_user()

    overview.needs(project, person)

    assert asked == [(project, person)]


def test_figures_of_apps_stand_beside_the_costs(client, project, owner, only):
    table = {"head": ["Run", "Exact match"], "rows": [["1", "0.8"]]}
    only.overview_figures.append(
        lambda project: [Figure("quality", "Exact match rose 12 points", {"data": [], "layout": {}}, table)]
    )
    spend(project, 7)

    page = client.get("/projects/routing/").content.decode()

    assert "Exact match rose 12 points" in page
    assert "€7.00 in the last 30 days" in page
    assert page.count("data-figure") == 2


def test_work_in_progress_is_shown_with_its_progress(client, project, owner, toys, tmp_path):
    make_kind(tmp_path)
    queued_toy(project)
    queued_toy(project)
    queued_toy(make_project())
    running = leases.claim([Toy], owner="host")
    leases.fenced_update(running, progress={"phase": "steps", "done": 3, "total": 12})

    work, count_running, count_waiting = overview.at_work(project)

    assert (count_running, count_waiting) == (1, 1)
    assert (work[0].job.pk, work[0].phase, work[0].done, work[0].total) == (running.pk, "steps", 3, 12)
    page = client.get("/projects/routing/").content.decode()
    assert "3 of 12" in page


def test_the_budget_is_part_of_the_first_look(client, project, owner):
    services.change_settings(project, by=owner, monthly_budget=Decimal(10))
    spend(project, 5)

    assert "50\u202f% of €10.00" in client.get("/projects/routing/").content.decode()


def test_the_page_needs_few_queries(client, project, owner, django_assert_max_num_queries):
    for number in range(20):
        spend(project, 1, subject=number)
        record(project, "project.changed", actor="a")

    with django_assert_max_num_queries(60):
        client.get("/projects/routing/")


# Projects


def test_whoever_makes_a_project_owns_it(client):
    user = make_user()
    client.force_login(user)

    answer = client.post("/projects/new/", {"name": "Ticket Routing", "description": "", "currency": "USD"})

    project = Project.objects.get()
    assert answer["Location"] == "/projects/ticket-routing/"
    assert (project.currency, Membership.objects.get(project=project).role) == ("USD", "owner")
    assert AuditEvent.objects.get().action == "project.created"


@pytest.mark.parametrize(
    ("name", "slugs"),
    [
        ("Routing", ["routing", "routing-2", "routing-3"]),
        ("new", ["new-2", "new-3", "new-4"]),
        ("日本語", ["project", "project-2", "project-3"]),
        ("x" * 200, ["x" * 50, "x" * 48 + "-2", "x" * 48 + "-3"]),
    ],
)
def test_projects_of_one_name_get_addresses_of_their_own(name, slugs):
    user = make_user()

    made = [services.create_project(by=user, name=name).slug for _ in range(3)]

    assert made == slugs
    assert len({reverse("project-overview", args=[slug]) for slug in made}) == 3


def test_the_list_shows_my_projects_only(client, project, owner):
    make_project(name="Somebody else's")
    spend(project, 3)

    page = client.get("/projects/").content.decode()

    assert "Routing" in page
    assert "€3.00" in page
    assert "Somebody else" not in page


def test_settings_are_saved_and_bad_ones_are_named(client, project, owner):
    form = {
        "name": "Routing 2",
        "description": "d",
        "currency": "EUR",
        "gpu_hour_price": "4.25",
        "cpu_hour_price": "0.1",
        "people_hour_price": "60",
        "monthly_budget": "",
    }
    assert client.post("/projects/routing/settings/", form).status_code == 302
    project.refresh_from_db()
    assert (project.name, project.gpu_hour_price, project.monthly_budget) == ("Routing 2", Decimal("4.25"), None)

    for field, value in (("gpu_hour_price", "-1"), ("cpu_hour_price", "NaN"), ("currency", "XXX"), ("name", " ")):
        answer = client.post("/projects/routing/settings/", form | {field: value})
        assert answer.status_code == 400
        assert field in answer.context["form"].errors


def test_a_member_sees_settings_but_no_form(client, project):
    client.force_login(make_member(project, Role.ENGINEER))

    page = client.get("/projects/routing/settings/").content.decode()

    assert "Owners can change this" in page
    assert 'name="gpu_hour_price"' not in page
    assert client.post("/projects/routing/settings/", {"name": "Mine"}).status_code == 403


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"gpu_hour_price": "-1"}, "min_value", "gpu_hour_price"),
        ({"gpu_hour_price": "NaN"}, "invalid", "gpu_hour_price"),
        ({"slug": "mine"}, "unknown_field", "slug"),
        ({"created_at": "2020-01-01"}, "unknown_field", "created_at"),
        ({"currency": "XXX"}, "invalid_choice", "currency"),
        ({"name": ""}, "blank", "name"),
    ],
)
def test_bad_settings_over_the_api_are_named(client, project, owner, body, code, field):
    answer = client.patch("/api/v1/projects/routing/", body, "application/json")

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["field"]) == (code, field)


def test_settings_over_the_api_change_what_is_given(client, project, owner):
    answer = client.patch(
        "/api/v1/projects/routing/", {"monthly_budget": "50", "reason": "new year"}, "application/json"
    )

    assert (answer.status_code, answer.json()["monthly_budget"], answer.json()["name"]) == (200, "50.00", "Routing")
    assert AuditEvent.objects.get(action="project.changed").reason == "new year"


def test_who_am_i_tells_roles_and_permissions(client, project, owner):
    me = client.get("/api/v1/me/").json()

    (role,) = me["projects"]
    assert (me["email"], role["slug"], role["role"]) == (owner.email, "routing", "owner")
    assert "project.manage" in role["permissions"]
