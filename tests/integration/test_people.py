"""Signing in, invitations, roles: how people come into a project, change in it and leave."""

import re
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import ApiToken, AuditEvent, Invitation, Membership, Throttle, User
from projects.services import accounts, invitations, people, throttling
from tests.factories.projects import PASSWORD, make_member, make_project, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_new_stretch")]
SAME = "do not belong together"


def sign_in(client, email, password=PASSWORD, **headers):
    return client.post("/sign-in/", {"username": email, "password": password}, **headers)


# Signing in and out


def test_a_person_signs_in_with_the_address_however_it_is_written(client):
    make_user("Anna@Example.org")

    answer = sign_in(client, "anna@example.ORG")

    assert (answer.status_code, answer["Location"]) == (302, "/projects/")
    assert client.get("/projects/").status_code == 200


def test_a_wrong_password_and_an_unknown_person_get_the_same_answer(client):
    make_user("anna@example.org")
    make_user("gone@example.org", is_active=False)

    pages = [
        re.sub(r'(value|data-csrf)="[^"]*"', "", sign_in(client, email, "wrong password").content.decode())
        for email in ("anna@example.org", "nobody@example.org", "gone@example.org")
    ]

    assert SAME in pages[0]
    assert pages[0] == pages[1] == pages[2]


def test_after_too_many_attempts_the_answer_is_429_for_known_and_unknown_alike(client):
    make_user("anna@example.org")
    limit = accounts.PER_ACCOUNT.count

    for email in ("anna@example.org", "nobody@example.org"):
        codes = [sign_in(client, email, "wrong").status_code for _ in range(limit + 1)]
        assert codes == [200] * limit + [429]

    blocked = sign_in(client, "anna@example.org")
    assert blocked.status_code == 429, "the right password is not even looked at"
    assert int(blocked["Retry-After"]) > 0
    assert "Too many attempts" in blocked.content.decode()


def test_other_addresses_are_not_locked_out_by_someone_elses_attempts(client):
    make_user("anna@example.org")
    for _ in range(accounts.PER_ACCOUNT.count + 1):
        sign_in(client, "anna@example.org", "wrong", REMOTE_ADDR="10.0.0.66")

    assert sign_in(client, "anna@example.org", REMOTE_ADDR="10.0.0.1").status_code == 302


def test_spraying_many_accounts_from_one_address_ends_too(client):
    codes = [sign_in(client, f"p{n}@example.org", "wrong").status_code for n in range(accounts.PER_ADDRESS.count + 1)]

    assert codes[-1] == 429
    assert set(codes[:-1]) == {200}


def test_signing_in_forgets_the_slips_before_it(client):
    make_user("anna@example.org")
    for _ in range(3):
        for _ in range(accounts.PER_ACCOUNT.count - 1):
            sign_in(client, "anna@example.org", "wrong")
        assert sign_in(client, "anna@example.org").status_code == 302
        client.post("/sign-out/")


def test_counters_hold_no_address_and_old_ones_go(client):
    sign_in(client, "anna@example.org", "wrong")
    assert not Throttle.objects.filter(key__icontains="anna").exists()

    Throttle.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    sign_in(client, "berta@example.org", "wrong", REMOTE_ADDR="10.9.9.9")
    assert not Throttle.objects.filter(expires_at__lt=timezone.now()).exists()


@pytest.mark.django_db(transaction=True)
def test_attempts_at_the_same_moment_are_all_counted():
    limit, refused = throttling.Limit("race", count=5, seconds=3600), []
    together = threading.Barrier(12)

    def attempt():
        together.wait()
        try:
            throttling.count(limit, "anna")
        except throttling.TooMany as error:
            refused.append(error)
        connection.close()

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) >= 7
    assert Throttle.objects.get().count == 12


def test_a_forged_forwarded_address_changes_nothing(client, settings):
    settings.SECURE_PROXY_SSL_HEADER = None
    for n in range(accounts.PER_ACCOUNT.count):
        sign_in(client, "anna@example.org", "wrong", headers={"X-Forwarded-For": f"10.1.1.{n}"})

    assert sign_in(client, "anna@example.org", "wrong", headers={"X-Forwarded-For": "10.1.2.3"}).status_code == 429


def test_behind_the_own_proxy_its_own_entry_counts(client, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    for n in range(accounts.PER_ACCOUNT.count):
        sign_in(client, "anna@example.org", "wrong", headers={"X-Forwarded-For": f"6.6.6.{n}, 10.0.0.7"})

    assert sign_in(client, "anna@example.org", "x", headers={"X-Forwarded-For": "1.1.1.1, 10.0.0.7"}).status_code == 429
    assert sign_in(client, "anna@example.org", "x", headers={"X-Forwarded-For": "1.1.1.1, 10.0.0.8"}).status_code == 200


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "javascript:alert(1)"])
def test_signing_in_never_leads_to_a_foreign_page(client, target):
    make_user("anna@example.org")

    answer = client.post("/sign-in/", {"username": "anna@example.org", "password": PASSWORD, "next": target})

    assert answer["Location"] == "/projects/"


def test_signing_out_needs_a_post_and_ends_the_session(client):
    client.force_login(make_user())

    assert client.get("/sign-out/").status_code == 405
    assert client.get("/projects/").status_code == 200
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/projects/").status_code == 302


def test_a_new_password_ends_other_sessions(client):
    user = make_user()
    elsewhere = Client()
    client.force_login(user)
    elsewhere.force_login(user)
    new = "a quite different horse"

    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/password/", form).status_code == 302

    assert client.get("/projects/").status_code == 200
    assert elsewhere.get("/projects/").status_code == 302


def test_a_weak_new_password_is_refused_at_its_field(client):
    client.force_login(make_user())

    answer = client.post("/password/", {"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"})

    assert answer.status_code == 200
    assert "too short" in answer.content.decode()


def test_nobody_signs_up_unless_the_operator_opened_it(client, settings):
    person = {"email": "new@example.org", "name": "New", "password": PASSWORD}
    settings.SIGN_UP_OPEN = False
    assert client.get("/sign-up/").status_code == client.post("/sign-up/", person).status_code == 404
    assert not User.objects.exists()

    settings.SIGN_UP_OPEN = True
    assert client.post("/sign-up/", person).status_code == 302
    assert client.get("/projects/").context["user"].email == "new@example.org"


def test_one_mailbox_is_one_account(client, settings):
    settings.SIGN_UP_OPEN = True
    make_user("anna@example.org")

    answer = client.post("/sign-up/", {"email": "ANNA@example.org", "name": "A", "password": PASSWORD})

    assert answer.status_code == 400
    assert "account with this address already" in answer.content.decode()


# Invitations


@pytest.fixture
def project():
    return make_project(name="Routing", slug="routing")


@pytest.fixture
def owner(project):
    return make_member(project, Role.OWNER, email="olga@example.org")


def invite(project, owner, role=Role.ENGINEER, email=""):
    return invitations.invite_member(project, by=owner, role=role, email=email)


def test_an_owner_sees_the_link_once_and_only_its_hash_is_stored(client, project, owner):
    client.force_login(owner)

    page = client.post("/projects/routing/invitations/", {"role": "reviewer", "email": "rita@example.org"})

    secret = re.search(r"/invitations/(lut_\w+)/", page.content.decode()).group(1)
    invitation = Invitation.objects.get()
    assert (invitation.role, invitation.email, invitation.invited_by) == ("reviewer", "rita@example.org", owner)
    assert secret not in str(vars(invitation))
    assert secret not in client.get("/projects/routing/members/").content.decode()
    assert timedelta(days=6) < invitation.expires_at - timezone.now() <= timedelta(days=7)


def test_a_new_person_follows_a_link_and_is_in(client, project, owner):
    _, secret = invite(project, owner, Role.REVIEWER)
    address = f"/invitations/{secret}/"
    assert "Join Routing" in client.get(address).content.decode()

    answer = client.post(address, {"email": "rita@example.org", "name": "Rita", "password": PASSWORD})

    assert answer["Location"] == "/projects/routing/"
    assert Membership.objects.get(user__email="rita@example.org").role == "reviewer"
    assert client.get("/projects/routing/").status_code == 200
    assert AuditEvent.objects.get(action="invitation.accepted").actor == "rita@example.org"


def test_a_signed_in_person_joins_with_one_click(client, project, owner):
    _, secret = invite(project, owner)
    client.force_login(make_user("emil@example.org"))

    assert "emil@example.org" in client.get(f"/invitations/{secret}/").content.decode()
    assert client.post(f"/invitations/{secret}/").status_code == 302
    assert Membership.objects.get(user__email="emil@example.org").role == "engineer"


def test_a_link_works_once(client, project, owner):
    _, secret = invite(project, owner)
    invitations.accept_invitation(secret, by=make_user())

    client.force_login(make_user())
    answer = client.post(f"/invitations/{secret}/")

    assert answer.status_code == 404
    assert "used, revoked or expired" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_follow_the_same_link_at_once_one_gets_in():
    project = make_project()
    _, secret = invite(project, make_member(project, Role.OWNER))
    rivals, together, refused = [make_user(), make_user()], threading.Barrier(2), []

    def accept(user):
        together.wait()
        try:
            invitations.accept_invitation(secret, by=user)
        except Refused as error:
            refused.append(error.code)
        connection.close()

    threads = [threading.Thread(target=accept, args=(user,)) for user in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["invitation_gone"]
    assert Membership.objects.filter(project=project, user__in=rivals).count() == 1


def test_unknown_expired_and_revoked_links_say_the_same(client, project, owner):
    expired, first = invite(project, owner)
    Invitation.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoked, second = invite(project, owner)
    invitations.revoke_invitation(revoked, by=owner)

    answers = [client.get(f"/invitations/{secret}/") for secret in (first, second, "lut_nonsense")]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    bodies = {re.sub(r'data-csrf="\w+"', "", answer.content.decode()) for answer in answers}
    assert len(bodies) == 1


def test_a_link_for_one_address_is_for_nobody_else(client, project, owner):
    _, secret = invite(project, owner, email="rita@example.org")
    client.force_login(make_user("eve@example.org"))

    answer = client.post(f"/invitations/{secret}/")

    assert answer.status_code == 409
    assert "rita@example.org" in answer.content.decode()
    assert not Membership.objects.filter(user__email="eve@example.org").exists()


def test_the_address_of_an_invitation_cannot_be_exchanged_in_the_form(client, project, owner):
    _, secret = invite(project, owner, email="rita@example.org")

    client.post(f"/invitations/{secret}/", {"email": "eve@example.org", "name": "Eve", "password": PASSWORD})

    assert User.objects.filter(email="rita@example.org").exists()
    assert not User.objects.filter(email="eve@example.org").exists()


def test_a_failed_joining_leaves_no_account(client, project, owner):
    _, secret = invite(project, owner)

    answer = client.post(f"/invitations/{secret}/", {"email": "rita@example.org", "name": "R", "password": "123"})

    assert answer.status_code == 400
    assert "too short" in answer.content.decode()
    assert not User.objects.filter(email="rita@example.org").exists()
    assert Invitation.objects.open().exists()


def test_a_person_with_an_account_is_told_to_sign_in(client, project, owner):
    make_user("rita@example.org")
    _, secret = invite(project, owner)

    answer = client.post(f"/invitations/{secret}/", {"email": "rita@example.org", "name": "R", "password": PASSWORD})

    assert answer.status_code == 400
    assert "Sign in" in answer.content.decode()


def test_a_second_link_for_an_address_ends_the_first(project, owner):
    _, first = invite(project, owner, email="rita@example.org")
    invite(project, owner, email="RITA@example.org")

    with pytest.raises(invitations.InvitationGone):
        invitations.find_invitation(first)


def test_a_member_is_not_invited_again(client, project, owner):
    client.force_login(owner)

    answer = client.post("/projects/routing/invitations/", {"role": "viewer", "email": "Olga@example.org"})

    assert answer.status_code == 400
    assert "is a member already" in answer.content.decode()


def test_invitations_of_a_person_who_is_no_longer_owner_end(project, owner):
    second = make_member(project, Role.OWNER)
    _, secret = invite(project, second)

    people.change_role(Membership.objects.get(user=second), by=owner, role=Role.VIEWER)

    with pytest.raises(invitations.InvitationGone):
        invitations.find_invitation(secret)


# Roles


def test_an_owner_changes_a_role_and_the_log_says_why(client, project, owner):
    emil = make_member(project, Role.ENGINEER)
    client.force_login(owner)
    member = Membership.objects.get(user=emil)

    client.post(f"/projects/routing/members/{member.pk}/role/", {"role": "reviewer", "reason": "new job"})

    member.refresh_from_db()
    event = AuditEvent.objects.get(action="membership.changed")
    assert member.role == "reviewer"
    assert (event.actor, event.reason, event.detail) == (
        owner.email,
        "new job",
        {"from": "engineer", "to": "reviewer"},
    )


def test_the_last_owner_can_neither_leave_nor_be_made_less(client, project, owner):
    make_member(project, Role.ENGINEER)
    client.force_login(owner)
    member = Membership.objects.get(user=owner)

    answers = [
        client.post(f"/projects/routing/members/{member.pk}/role/", {"role": "viewer"}),
        client.post(f"/projects/routing/members/{member.pk}/remove/"),
        client.post("/projects/routing/leave/"),
        client.patch(f"/api/v1/projects/routing/members/{member.pk}/", {"role": "viewer"}, "application/json"),
        client.delete(f"/api/v1/projects/routing/members/{member.pk}/"),
    ]

    assert [answer.status_code for answer in answers] == [409] * 5
    assert "Make another member an owner first" in answers[2].content.decode()
    assert answers[3].json()["code"] == "last_owner"
    member.refresh_from_db()
    assert member.role == "owner"


@pytest.mark.django_db(transaction=True)
def test_two_owners_cannot_demote_each_other_at_the_same_time():
    project = make_project()
    owners = [make_member(project, Role.OWNER), make_member(project, Role.OWNER)]
    together = threading.Barrier(2)

    def demote(by, whom):
        member = Membership.objects.get(project=project, user=whom)
        together.wait()
        try:
            people.change_role(member, by=by, role=Role.VIEWER)
        except Exception as error:
            refused.append(type(error).__name__)
        connection.close()

    refused = []
    threads = [threading.Thread(target=demote, args=pair) for pair in (owners, owners[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Membership.objects.filter(project=project, role="owner").count() == 1
    assert len(refused) == 1


def test_who_is_removed_is_out_at_once_with_every_token(client, project, owner):
    emil = make_member(project, Role.ENGINEER)
    token = ApiToken.objects.create(
        project=project,
        user=emil,
        name="t",
        token_hash="x",
        scope="read",
        expires_at=timezone.now() + timedelta(days=1),
    )
    client.force_login(emil)
    assert client.get("/projects/routing/").status_code == 200

    people.remove_member(Membership.objects.get(user=emil), by=owner, reason="left the company")

    assert client.get("/projects/routing/").status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert AuditEvent.objects.get(action="membership.removed").reason == "left the company"


def test_a_member_may_leave(client, project, owner):
    client.force_login(make_member(project, Role.VIEWER))

    assert client.post("/projects/routing/leave/")["Location"] == "/projects/"
    assert client.get("/projects/routing/").status_code == 404


def test_a_member_of_another_project_cannot_be_reached_from_this_one(client, project, owner):
    foreign = Membership.objects.get(user=make_member(make_project(), Role.ENGINEER))
    client.force_login(owner)

    assert client.post(f"/projects/routing/members/{foreign.pk}/remove/").status_code == 404
    assert client.patch(f"/api/v1/projects/routing/members/{foreign.pk}/", {}, "application/json").status_code == 404
    foreign.refresh_from_db()


def test_the_member_page_shows_roles_and_rights(client, project, owner):
    viewer = make_member(project, Role.VIEWER)
    for person, may_change in ((owner, True), (viewer, False)):
        client.force_login(person)
        page = client.get("/projects/routing/members/").content.decode()
        assert ("Invite somebody" in page) is may_change
        assert "What each role may do" in page
