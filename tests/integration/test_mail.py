"""E-mail: who is told of what, in letters that group, by the same outbox, ended by one click."""

import re
from datetime import timedelta
from smtplib import SMTPServerDisconnected

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from config import env
from projects import checks, courier, invariants, keyring, letters, sending, transitions
from projects.clock import database_time
from projects.domain.permissions import Role
from projects.models import Event, Letter, MailChoice, Membership, Notice
from projects.services import notifications as services
from projects.services import people
from tests.factories.projects import make_member, make_project
from tests.factories.webhooks import make_endpoint, send

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_once(settings):
    settings.MAIL_GROUP_SECONDS = 0
    settings.MAIL_PAUSE_SECONDS = 300
    settings.BASE_URL = "https://luthier.example.org"


@pytest.fixture
def project():
    return make_project(name="Support")


@pytest.fixture
def owner(project):
    return make_member(project, Role.OWNER, email="olga@example.org")


@pytest.fixture
def endpoint(project, owner):
    return make_endpoint(project, by=owner, events=["run.failed"], description="Chat")


def disabled(endpoint, actor="courier"):
    """An event that owners are told of."""
    line = transitions.record(endpoint, "webhookendpoint.disabled", actor=actor)
    return Event.objects.get(audit_id=line.pk)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        ahead = timedelta()

        def __call__(self):
            return database_time() + self.ahead

    made = Clock()
    for module in (courier, letters, sending):
        monkeypatch.setattr(module, "database_time", made)
    return made


def test_an_owner_is_told_in_text_and_html(endpoint, owner):
    disabled(endpoint)
    send()

    (letter,) = mail.outbox
    assert letter.to == ["olga@example.org"]
    assert letter.subject.startswith("[Support] The webhook Chat is switched off.")
    html = letter.alternatives[0].content
    for text in (letter.body, html):
        assert "The webhook Chat is switched off." in text
        assert f"https://luthier.example.org/projects/{endpoint.project.slug}/webhooks/{endpoint.pk}/" in text
        assert f"https://luthier.example.org/projects/{endpoint.project.slug}/notifications/" in text
    assert "<script" not in html and "style=" not in html
    assert letter.extra_headers["Auto-Submitted"] == "auto-generated"
    row = Letter.objects.get()
    assert (row.state, row.code) == ("delivered", "")
    assert letter.extra_headers["Message-ID"].startswith(f"<{row.uid}@")
    send()
    assert len(mail.outbox) == 1, "once"


def test_who_is_not_concerned_and_whose_doing_it_was_hears_nothing(endpoint, owner, project):
    others = [make_member(project, role) for role in (Role.ENGINEER, Role.REVIEWER, Role.VIEWER)]
    make_member(make_project(), Role.OWNER)
    event = disabled(endpoint)
    assert [notice.user for notice in event.notices.all()] == [owner]
    assert not event.notices.filter(user__in=others).exists()

    own = disabled(endpoint, actor=owner.email)
    assert not own.notices.exists()


def test_a_choice_of_a_person_wins_over_what_is_usual(endpoint, owner, project):
    viewer = make_member(project, Role.VIEWER)
    services.choose_mail(project, by=viewer, choices={"webhook.disabled": "all"})
    services.choose_mail(project, by=owner, choices={"webhook.disabled": "off"})

    assert [notice.user for notice in disabled(endpoint).notices.all()] == [viewer]


def test_mine_is_what_i_made(endpoint, owner, project):
    other = make_member(project, Role.OWNER)
    for person in (owner, other):
        services.choose_mail(project, by=person, choices={"webhook.disabled": "mine"})

    assert [notice.user for notice in disabled(endpoint).notices.all()] == [owner]


def test_a_hundred_failures_within_minutes_are_few_letters(endpoint, owner, settings, clock):
    settings.MAIL_GROUP_SECONDS = 30
    for second in range(100):
        disabled(endpoint)
        clock.ahead = timedelta(seconds=3 * second)
        send()
    clock.ahead = timedelta(minutes=20)
    send()

    assert len(mail.outbox) in {2, 3}
    assert sum(letter.notices.count() for letter in Letter.objects.all()) == 100
    many = max(mail.outbox, key=lambda letter: len(letter.body))
    assert re.search(r"\d+ × webhook disabled", many.subject)
    assert many.body.count("is switched off") <= letters.LISTED
    assert "more: https://luthier.example.org/projects/" in many.body
    assert Notice.objects.filter(letter=None).count() == 0
    assert invariants.check(deep=True) == []


def test_a_server_that_does_not_take_it_is_tried_again_with_the_same_id(endpoint, owner, clock, monkeypatch):
    from django.core.mail.backends.locmem import EmailBackend

    ids, real = [], EmailBackend.send_messages

    def fail(self, messages):
        ids.append(messages[0].extra_headers["Message-ID"])
        raise SMTPServerDisconnected("Connection unexpectedly closed")

    with monkeypatch.context() as broken:
        broken.setattr(EmailBackend, "send_messages", fail)
        disabled(endpoint)
        send()
    letter = Letter.objects.get()
    assert (letter.state, letter.code, letter.attempts) == ("waiting", "mail_failed", 1)
    assert "SMTPServerDisconnected" in letter.message
    clock.ahead = timedelta(seconds=13)
    send()

    assert real is EmailBackend.send_messages
    assert [mail.outbox[0].extra_headers["Message-ID"]] == ids


def test_whoever_left_or_wants_none_in_the_meantime_gets_nothing(endpoint, owner, project, settings):
    settings.MAIL_GROUP_SECONDS = 30
    leaver, muted = make_member(project, Role.OWNER), make_member(project, Role.OWNER)
    disabled(endpoint)
    people.leave_project(project, by=leaver)
    services.choose_mail(project, by=muted, muted=True)
    settings.MAIL_GROUP_SECONDS = 0
    send()

    assert [letter.to for letter in mail.outbox] == [[owner.email]]
    assert set(Letter.objects.values_list("state", "code")) == {("delivered", ""), ("delivered", "not_wanted")}


def test_one_click_ends_it_without_signing_in_and_without_a_token_of_the_site(endpoint, owner, project):
    disabled(endpoint)
    send()
    headers = mail.outbox[0].extra_headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = headers["List-Unsubscribe"].strip("<>")
    assert link.startswith("https://luthier.example.org/unsubscribe/") and link in mail.outbox[0].body
    client, path = Client(enforce_csrf_checks=True), link.removeprefix("https://luthier.example.org")

    page = client.get(path)
    assert page.status_code == 200 and "End this e-mail?" in page.content.decode()
    assert MailChoice.objects.filter(muted_at__isnull=False).count() == 0, "scanners follow links"
    done = client.post(path, {"List-Unsubscribe": "One-Click"})

    assert done.status_code == 200 and "gets no more e-mail" in done.content.decode()
    assert MailChoice.objects.get(membership__user=owner).muted_at is not None
    assert not disabled(endpoint).notices.exists()
    assert client.post(path).status_code == 200, "twice does no harm"


@pytest.mark.parametrize(
    "change", [lambda token: token + "x", lambda token: token[::-1], lambda token: "no-such-thing"]
)
def test_a_link_that_nobody_signed_ends_nothing(owner, project, change):
    token = change(keyring.unsubscribe_token(owner.pk, project.pk))

    for answer in (Client().get(f"/unsubscribe/{token}/"), Client().post(f"/unsubscribe/{token}/")):
        assert answer.status_code == 404
    assert not MailChoice.objects.exists()


def test_a_link_of_somebody_who_has_left_tells_nothing(owner, project):
    token = keyring.unsubscribe_token(owner.pk, project.pk)
    Membership.objects.filter(user=owner).delete()

    answer = Client().get(f"/unsubscribe/{token}/")
    assert answer.status_code == 404
    assert owner.email not in answer.content.decode()


def test_a_name_with_line_ends_makes_no_header(endpoint, owner, project):
    project.name = "Support\r\nBcc: everybody@example.org"
    project.save()
    disabled(endpoint)
    send()

    assert "\n" not in mail.outbox[0].subject and "\r" not in mail.outbox[0].subject
    assert mail.outbox[0].recipients() == [owner.email]


def test_names_are_text_in_html(endpoint, owner):
    endpoint.description = "<img src=x onerror=alert(1)>"
    endpoint.save()
    disabled(endpoint)
    send()

    assert "<img" not in mail.outbox[0].alternatives[0].content
    assert "<img" in mail.outbox[0].body


def test_the_page_shows_and_keeps_choices(client, project, owner):
    client.force_login(owner)
    path = f"/projects/{project.slug}/notifications/"
    page = client.get(path).content.decode()
    assert "No letters yet" in page and "run.failed" in page

    client.post(path, {"mail:run.failed": "all", "mail:webhook.disabled": "off"})
    assert MailChoice.objects.get().choices == {"run.failed": "all", "webhook.disabled": "off"}
    client.post(path, {"muted": "yes"})
    assert "You get no mail of this project" in client.get(path).content.decode()
    client.post(path, {"muted": "no"})
    assert MailChoice.objects.get().muted_at is None
    assert MailChoice.objects.get().choices["run.failed"] == "all"
    for wrong in ({"mail:no.such": "all"}, {"mail:run.failed": "loud"}):
        assert client.post(path, wrong).status_code == 400


def test_the_api_shows_and_keeps_choices_of_whoever_asks(client, project, owner):
    viewer = make_member(project, Role.VIEWER)
    path = f"/api/v1/projects/{project.slug}/notifications/"
    client.force_login(owner)
    assert client.get(path).json()["events"]["webhook.disabled"] == "all"
    client.force_login(viewer)
    said = client.patch(path, {"events": {"run.failed": "all"}}, content_type="application/json")
    assert (said.status_code, said.json()["events"]["run.failed"], said.json()["muted"]) == (200, "all", False)
    assert said.json()["events"]["webhook.disabled"] == "off"
    assert client.patch(path, {"muted": True}, content_type="application/json").json()["muted"] is True
    for wrong in ({"events": {"no.such": "all"}}, {"events": {"run.failed": "loud"}}, {"loud": 1}):
        assert client.patch(path, wrong, content_type="application/json").status_code == 400
    assert MailChoice.objects.count() == 1


def test_an_operator_is_told_of_letters_whose_links_lead_nowhere(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert checks.check_links() == []
    settings.BASE_URL = "http://127.0.0.1:8000"
    assert [found.id for found in checks.check_links()] == ["projects.W001"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert checks.check_links() == []


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("", ("console", "localhost", 25, "", "", False, False)),
        ("smtp+tls://me:p%40ss@mail.example.org", ("smtp", "mail.example.org", 587, "me", "p@ss", True, False)),
        ("smtp+ssl://mail.example.org", ("smtp", "mail.example.org", 465, "", "", False, True)),
        ("smtp://mail.example.org:2525", ("smtp", "mail.example.org", 2525, "", "", False, False)),
        ("file:///var/mail/luthier", ("filebased", "localhost", 25, "", "", False, False)),
    ],
)
def test_where_mail_goes_is_one_address(monkeypatch, url, wanted):
    monkeypatch.setenv("EMAIL_URL", url or "console://")
    found = env.email("console://")
    backend = found["BACKEND"].split(".")[-2]

    assert (backend, *(found[name] for name in ("HOST", "PORT", "USER", "PASSWORD", "TLS", "SSL"))) == wanted


@pytest.mark.parametrize("url", ["mail.example.org", "smtp://", "gopher://mail.example.org"])
def test_what_is_no_address_for_mail_is_refused_at_the_start(monkeypatch, url):
    monkeypatch.setenv("EMAIL_URL", url)
    with pytest.raises(ImproperlyConfigured):
        env.email("console://")
