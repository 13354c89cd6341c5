"""Walks every address: each is guarded, each write names its service, and each asks what its service asks.

The list comes from the resolver, so an address without a guard fails here the moment it is written.
"""

from itertools import product

import pytest
from django.conf import settings
from django.test import Client

from projects.access import OperatorService, Service
from projects.api.permissions import ServicePermission
from projects.api.workers import InstallationPermission
from projects.domain.permissions import GRANTS, Permission, Role
from projects.models import ApiToken
from projects.services import tokens
from tests.contracts.addresses import SAFE, addresses
from tests.factories.projects import make_member, make_project, make_user
from training.api.openai.base import TokenProject

# Whoever asks may enter: each with its reason.
PUBLIC = {
    "home": "sends on to the list of projects, which asks who is there",
    "sign-in": "it is the door",
    "sign-out": "ends a session, if there is one",
    "sign-up": "404 unless the operator opened it",
    "invitation-accept": "the link is the permission",
    "unsubscribe": "the signed link is the permission; mail programs have no session",
    "health-live": "asked by whatever runs the process",
    "health-ready": "asked by whatever runs the process",
    "favicon": "sends on to a static file",
}
# Signed-in people, outside any project.
PERSONAL = {"project-list", "project-create", "password-change", "api-me", "api-projects", "api-schema", "api-docs"}
# The installation's own: for members of any project, their writes for operators. tests/integration/test_workers_page.py
# comes to them as a stranger, a member, an operator and a token.
INSTALLATION = {
    "worker-list", "worker-status", "host-drain", "host-resume", "host-forget",
    "api-workers", "api-worker", "api-worker-drain", "api-worker-resume", "api-queues",
}  # fmt: skip

# The copy of the OpenAI API: the token itself names the project. tests/integration/test_openai_client.py comes to them.
BY_TOKEN = {
    "openai-files", "openai-file", "openai-file-content", "openai-jobs", "openai-job", "openai-job-cancel",
    "openai-job-pause", "openai-job-resume", "openai-job-events", "openai-job-checkpoints", "openai-models",
    "openai-model", "openai-unknown",
}  # fmt: skip

ALL = addresses()
INSIDE = [address for address in ALL if address.in_project and address.name not in PUBLIC]
PAGES = [address for address in INSIDE if address.is_page]
API = [address for address in INSIDE if address.is_api]
VERBS = ("get", "post", "put", "patch", "delete", "head", "options")

pytestmark = pytest.mark.django_db


def ask(client, method, address, **known):
    return getattr(client, method)(address.url(**known), content_type="application/json")


def by_name(found):
    return pytest.mark.parametrize("address", found, ids=str)


@by_name(ALL)
def test_every_address_is_guarded(address):
    guarded = address.is_page or (address.is_api and ServicePermission in address.cls.permission_classes)
    own = address.is_installation_page or (address.is_api and InstallationPermission in address.cls.permission_classes)

    by_token = address.is_api and any(issubclass(one, TokenProject) for one in address.cls.permission_classes)

    assert own == (address.name in INSTALLATION)
    assert by_token == (address.name in BY_TOKEN)
    assert guarded or own or by_token or address.name in {*PUBLIC, *PERSONAL}, f"{address.route} has no guard"
    assert not (guarded and not address.in_project), "a guard that asks for a project needs one in the address"
    assert address.name, f"{address.route} has no name"


def test_names_are_unique_and_kebab():
    names = [address.name for address in ALL]

    assert sorted(names) == sorted(set(names))
    assert [name for name in names if name != name.lower() or "_" in name] == []


def test_the_lists_of_exceptions_name_what_exists():
    assert (set(PUBLIC) | PERSONAL | INSTALLATION | BY_TOKEN) - {address.name for address in ALL} == set()


@pytest.mark.parametrize("name", sorted(INSTALLATION))
def test_a_write_of_the_installation_is_for_operators(name):
    address = next(address for address in ALL if address.name == name)

    for method in address.methods - set(SAFE):
        service = address.cls.services[address.actions[method]] if address.is_api else address.cls.service
        assert isinstance(service, OperatorService)


@pytest.mark.parametrize("name", sorted(BY_TOKEN - {"openai-unknown"}))
def test_addresses_by_token_name_their_services_and_know_nobody_without_one(name):
    address = next(address for address in ALL if address.name == name)

    for method, action in list(address.actions.items()):  # a viewset adds HEAD when it is first asked
        assert method in SAFE or isinstance(address.cls.services.get(action), Service)
        answer = ask(Client(), method, address)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@by_name(PAGES)
def test_a_page_that_writes_names_its_service(address):
    writes = address.methods - set(SAFE)

    assert writes <= {"post"}, "forms post"
    assert not writes or isinstance(address.cls.service, Service)


@by_name(API)
def test_an_api_write_names_its_service(address):
    for method, action in address.actions.items():
        if method not in SAFE:
            assert isinstance(address.cls.services.get(action), Service), f"{method} {action} has no service"


@pytest.fixture(scope="module")
def people(django_db_setup, django_db_blocker):
    """One project with a member in each role, and an outsider who owns another project."""
    with django_db_blocker.unblock():
        project, other = make_project(), make_project()
        made = {role: make_member(project, role) for role in Role}
        outsider = make_member(other, Role.OWNER)
        for user in [*made.values(), outsider]:
            user.client = signed_in(user)  # once: signing in is the dearest part of a request
        yield project, made, outsider
        for user in [*made.values(), outsider]:
            user.delete()
        project.delete()
        other.delete()


def signed_in(user, **options):
    client = Client(raise_request_exception=True, **options)
    client.force_login(user)
    return client


@pytest.mark.slow
@by_name(INSIDE)
def test_without_signing_in_nobody_gets_in(address, people):
    project, _, _ = people
    client = Client()

    for method in VERBS:
        answer = ask(client, method, address, project=project.slug)
        if address.is_api:
            assert answer.status_code == 401, method
            assert method == "head" or answer.json()["code"] == "not_authenticated"
        else:
            assert answer.status_code == 302, method
            assert answer["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("name", sorted(PERSONAL | INSTALLATION))
def test_personal_addresses_ask_who_is_there(name):
    address = next(address for address in ALL if address.name == name)

    answer = ask(Client(), "get", address)

    assert answer.status_code == (401 if address.route.startswith("api/") else 302)


@pytest.mark.slow
@by_name(INSIDE)
def test_an_outsider_sees_the_same_as_where_nothing_is(address, people):
    project, _, outsider = people
    client = outsider.client

    nowhere = ask(client, "get", address, project="never-was-here")

    assert nowhere.status_code == 404
    for method in VERBS:
        here = ask(client, method, address, project=project.slug)
        assert here.status_code == 404, method
        if address.is_api and method != "head":
            assert here.content == nowhere.content, method


@pytest.mark.slow
@by_name(INSIDE)
def test_every_role_gets_what_its_grants_say_and_no_more(address, people):
    project, made, _ = people

    for role, method in product(Role, sorted(address.methods)):
        answer = ask(made[role].client, method, address, project=project.slug)
        if address.permission(method) in GRANTS[role]:
            assert answer.status_code != 403, f"{method}: {role} may {address.permission(method)}"
            assert answer.status_code < 500, f"{method} as {role}"
        else:
            assert answer.status_code == 403, f"{method}: {role} may not {address.permission(method)}"


@pytest.mark.slow
@by_name(INSIDE)
def test_a_write_without_the_csrf_token_is_refused(address, people):
    project, made, _ = people
    client = signed_in(made[Role.OWNER], enforce_csrf_checks=True)

    for method in sorted(address.methods - set(SAFE)):
        assert ask(client, method, address, project=project.slug).status_code == 403, method


@pytest.fixture
def keys(people):
    """Tokens in every state, all of the owner of the project."""
    project, made, outsider = people
    owner = made[Role.OWNER]
    found = {}
    for state in ("read", "write", "expired", "revoked"):
        token, found[state] = tokens.create_token(
            project, by=owner, name=state, scope="read" if state == "read" else "write"
        )
        if state == "expired":
            ApiToken.objects.filter(pk=token.pk).update(expires_at=token.created_at)
        if state == "revoked":
            tokens.revoke_token(token, by=owner)
    _, found["elsewhere"] = tokens.create_token(
        outsider.memberships.get().project, by=outsider, name="elsewhere", scope="write"
    )
    return found


@pytest.mark.slow
@by_name(API)
def test_a_token_opens_what_its_state_and_scope_allow(address, people, keys):
    project = people[0]

    def status(key, method):
        client = Client(headers={"Authorization": f"Bearer {keys[key]}"})
        return ask(client, method, address, project=project.slug).status_code

    for method in sorted(address.methods):
        assert status("expired", method) == status("revoked", method) == 401
        assert status("elsewhere", method) == 404
        if method not in SAFE:
            assert status("read", method) == 403
            assert status("write", method) < 500
        elif address.permission(method) is Permission.PROJECT_VIEW:
            assert status("read", method) in {200, 404}


def test_a_permission_that_nobody_holds_or_nothing_asks_for_does_not_exist():
    asked = {address.permission(method) for address in INSIDE for method in address.methods}

    assert set(Permission) - set().union(*GRANTS.values()) == set()
    if settings.ROOT_URLCONF == "config.urls":
        assert set(Permission) - asked == set(), "declared, but no door asks for it"


def test_a_person_in_no_project_sees_an_empty_list():
    client = signed_in(make_user())

    assert client.get("/projects/").status_code == 200
    assert client.get("/api/v1/projects/").json()["results"] == []
