"""Answering a deletion request: find a person's text, say what was made of it, take it out of the newest versions."""

import hashlib
import hmac

from django.conf import settings
from django.db import transaction

from datasets_app import selectors
from datasets_app.models import Build, DatasetVersion, TextSearch
from datasets_app.services.builds import queue_build, refuse_second_build
from projects import leases, withdrawals
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.domain.staleness import Cause
from projects.models import Project, User
from projects.transitions import record

SHORTEST, LONGEST = 3, 400


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def search_text(project: Project, *, by: User, text: str) -> TextSearch:
    """Look for the text in every row of every version. The audit log gets its fingerprint, not its words."""
    text = text.strip()
    if not SHORTEST <= len(text) <= LONGEST:
        raise Invalid(f"Look for a text of {SHORTEST} to {LONGEST} characters.", code="bad_text", field="text")
    if "\x00" in text:
        raise Invalid("The text holds a character that no row can hold.", code="bad_text", field="text")
    search = TextSearch.objects.create(project=project, text=text, searched_by=by)
    record(search, "textsearch.created", actor=by.email, fingerprint=fingerprint(text))
    leases.queue_job(search, actor=by.email, priority=4)
    return search


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def forget_search(search: TextSearch, *, by: User) -> None:
    """The text and what was found are gone; that somebody searched stays in the audit log."""
    if search.is_active:
        raise Refused("The search is still running. Wait for its end.", code="still_searching")
    record(search, "textsearch.forgotten", actor=by.email)
    search.delete()


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def erase_text(search: TextSearch, *, by: User) -> list[Build]:
    """A new version without these rows for every dataset whose newest version holds the text."""
    if search.is_active:
        raise Refused("The search is still running. Wait for its end.", code="still_searching")
    newest = [match for match in selectors.matches(search) if match.newest]
    if not newest:
        raise Refused("No newest version of a dataset holds this text, so there is nothing to erase.", code="nothing")
    for match in newest:
        if match.rows > len(match.first):
            raise Refused(
                f"{match.rows} rows of {match.version} hold this text. Look for a longer one.", code="too_many"
            )
        if match.rows == match.version.rows:
            raise Refused(
                f"Every row of {match.version} holds this text. Delete the dataset instead.", code="no_rows_left"
            )
        refuse_second_build(match.version)
    builds = [
        queue_build(
            match.version.dataset,
            by=by,
            source=match.version,
            steps=[{"op": "drop_rows", "indices": match.first, "reason": "deletion request"}],
            title="Erase rows for a deletion request",
            reason=f"{match.rows} rows of {match.version} hold the text of search {search.pk}.",
        )
        for match in newest
    ]
    record(search, "textsearch.erased", actor=by.email, builds=[build.pk for build in builds])
    _mark(search, builds, by=by)
    return builds


def _mark(search: TextSearch, builds: list[Build], *, by: User) -> None:
    """Every version that holds the rows says so from now on, and so does all that was made of it.

    Versions that were looked through without a hit are free of them, and so will be those that are being made.
    """
    matches = {match.version.pk: match for match in selectors.matches(search)}
    seen = DatasetVersion.every.filter(dataset__project=search.project, created_at__lt=search.created_at)
    free = [f"version:{pk}" for pk in seen.values_list("pk", flat=True) if pk not in matches]
    for match in matches.values():
        rows = "1 row of it was" if match.rows == 1 else f"{match.rows} rows of it were"
        withdrawals.withdraw(
            search.project,
            node=f"version:{match.version.pk}",
            label=str(match.version),
            cause=Cause.ERASED,
            reason=f"{rows} erased for a deletion request.",
            by=by,
            rows=match.first,
            builds=[build.pk for build in builds],
            stops=free,
        )


def fingerprint(text: str) -> str:
    """The same text gives the same sign here, and nobody without the server's key can guess it back."""
    return hmac.new(settings.SECRET_KEY.encode(), text.casefold().encode(), hashlib.sha256).hexdigest()[:16]
