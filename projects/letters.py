"""E-mail: what came together within minutes is one letter, with a link that ends them all without signing in."""

import smtplib
import uuid
from collections import Counter
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Min
from django.template.loader import render_to_string
from django.urls import reverse

from projects import faults, keyring
from projects.clock import database_time
from projects.events import absolute
from projects.models import Letter, MailChoice, Membership, Notice

UNSENT = (smtplib.SMTPException, OSError)
LISTED = 50  # events in one letter; of more than that the rest is counted


def waiting() -> list[Any]:
    """People with notices that have joined no letter, by project, with the moment of the first."""
    rows = Notice.objects.filter(letter=None).values("user", "event__project").annotate(first=Min("created_at"))
    return list(rows.order_by("first"))


def _is_ripe(row: Any, now: datetime) -> bool:
    """A while after its first notice, and not soon after the letter before: many runs that fail are few letters."""
    if row["first"] > now - timedelta(seconds=settings.MAIL_GROUP_SECONDS):
        return False
    lately = now - timedelta(seconds=settings.MAIL_PAUSE_SECONDS)
    before = Letter.objects.filter(user=row["user"], project=row["event__project"], created_at__gt=lately)
    return not before.exists()


def is_due(now: datetime) -> bool:
    return any(_is_ripe(row, now) for row in waiting())


def bundle() -> int:
    """Make letters out of the notices whose time has come. Of rivals, one gets the notices."""
    now = database_time()
    return sum(_begin(row["user"], row["event__project"], now) for row in waiting() if _is_ripe(row, now))


@transaction.atomic
def _begin(user: int, project: int, now: datetime) -> bool:
    mine = Notice.objects.filter(letter=None, user=user, event__project=project)
    pks = list(mine.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))
    if not pks:
        return False
    letter = Letter.objects.create(
        uid=f"ltr_{uuid.uuid4().hex}", project_id=project, user_id=user, next_at=now, created_at=now
    )
    faults.point("letters.begun")
    Notice.objects.filter(pk__in=pks).update(letter=letter)
    return True


def send(letter: Letter) -> bool:
    """Send it, if its reader is still a member who wants mail. Its id is the same at every attempt."""
    member = Membership.objects.filter(user=letter.user, project=letter.project, user__is_active=True).first()
    if member is None or MailChoice.objects.filter(membership=member, muted_at__isnull=False).exists():
        return False
    compose(letter).send()
    return True


def compose(letter: Letter) -> EmailMultiAlternatives:
    """Text, the same as HTML, and the headers by which a mail program ends all of them with one click."""
    told = [notice.event for notice in letter.notices.select_related("event").order_by("event_id")]
    stop = absolute(reverse("unsubscribe", args=[keyring.unsubscribe_token(letter.user_id, letter.project_id)]))
    context = {
        "project": letter.project,
        "events": told[:LISTED],
        "more": max(0, len(told) - LISTED),
        "settings_url": absolute(reverse("notification-settings", args=[letter.project.slug])),
        "project_url": absolute(reverse("project-overview", args=[letter.project.slug])),
        "stop_url": stop,
    }
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    message = EmailMultiAlternatives(
        subject=subject_of(letter, told),
        body=render_to_string("projects/mail/events.txt", context),
        to=[letter.user.email],
        headers={
            "Message-ID": f"<{letter.uid}@{domain}>",
            "List-Unsubscribe": f"<{stop}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(render_to_string("projects/mail/events.html", context), "text/html")
    return message


def subject_of(letter: Letter, told: list) -> str:
    """One event in its own words; several are counted by what they are."""
    if len(told) == 1:
        text = told[0].text
    else:
        counted = Counter(event.name for event in told)
        text = ", ".join(f"{count} × {name.replace('.', ' ').replace('_', ' ')}" for name, count in counted.items())
    return " ".join(f"[{letter.project.name}] {text}".split())[:180]
