"""What of upgrades waits for people: orphaned adapters, bases that end, orders that came to nothing."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta

from django.urls import reverse
from django.utils import timezone

from deployments.selectors import families
from deployments.selectors.families import Ends, Pair
from projects import access
from projects.contributions import Need
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import Project, User

RECENT = timedelta(days=14)
AT_MOST = 10


def needs(project: Project, user: User) -> list[Need]:
    """For those who can order something about it."""
    if not access.may(user, Permission.RUN_START, project):
        return []
    orphaned = [_orphaned(pair) for pair in families.pairs(project)[:AT_MOST] if pair.untouched > 0]
    ends = [_ends(one) for one in families.endings(project)[:AT_MOST] if one.ending.warns]
    return [*orphaned, *ends, *_failed(project)]


def _orphaned(pair: Pair) -> Need:
    count = f"{pair.untouched} adapter{'s' if pair.untouched != 1 else ''}"
    verb = "stands" if pair.untouched == 1 else "stand"
    live = f", {pair.live} live" if pair.live else ""
    text = f"{count} {verb} on {pair.old}{live}, and {pair.new} follows it: plan the upgrade"
    url = reverse("upgrade-plan", args=[pair.old.project.slug, pair.old.pk, pair.new.pk])
    return Need(text, url, "attention", pair.new.finished_at or pair.new.created_at, "upgrade")


def _ends(one: Ends) -> Need:
    count = f"{one.adapters} adapter{'s' if one.adapters != 1 else ''}"
    live = f", {one.live} live" if one.live else ""
    verb = "ended" if one.ending.is_past else "ends"
    text = f"{one.base} {verb} {one.ending.words}: {count} on it{live}"
    slug = one.base.project.slug
    url = reverse("upgrade-plan", args=[slug, one.base.pk, one.new.pk]) if one.new else one.base.get_absolute_url()
    tone = "failed" if one.ending.is_past or (one.ending.presses and one.live) else "attention"
    return Need(text, url, tone, timezone.make_aware(datetime.combine(one.ending.date, time())), "end_of_life")


def _failed(project: Project) -> Iterator[Need]:
    since = timezone.now() - RECENT
    for row in families.upgrades(project).filter(state=JobState.FAILED, finished_at__gte=since)[:AT_MOST]:
        assert row.finished_at is not None
        text = f"The order “{row}” came to nothing: {row.error_message}"
        yield Need(text, row.get_absolute_url(), "failed", row.finished_at, "upgrade")
