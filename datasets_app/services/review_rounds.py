"""What people may do with a round of review: open it, deal it out, rule on it, close it, throw it away."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Mod

from datasets_app.domain.reviewing import (
    MOST_FOUND,
    BadScope,
    RoundState,
    Scope,
    Verdict,
    drawn,
    read_scope,
)
from datasets_app.models import DatasetVersion, ReviewItem, ReviewRound, ReviewRuling
from datasets_app.selectors import review as reads
from datasets_app.selectors import review_progress
from datasets_app.services import review as queue
from datasets_app.services.review_time import book_round
from datasets_app.services.versions import clean_version
from projects import leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.formatting import number
from projects.domain.permissions import Permission
from projects.models import Project, User
from projects.transitions import move, record


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def open_round(
    version: DatasetVersion,
    *,
    by: User,
    name: str,
    instructions: str = "",
    scope: Mapping[str, Any] | None = None,
    seed: int = 0,
    double_share: float = 0.0,
    people: Sequence[User] = (),
) -> ReviewRound:
    """Rows of this version for people to look at. The first are laid out at once, the rest as they are reached."""
    name = " ".join(name.split())
    if not name or len(name) > 120:
        raise Invalid("A review needs a name of at most 120 characters.", field="name")
    if not 0 <= double_share <= 1:
        raise Invalid("The share of rows that two people see lies between 0 and 1.", field="double_share")
    if not 0 <= seed < 2**31:
        raise Invalid("The seed is a whole number from 0 to 2,147,483,647.", field="seed")
    chosen = _read_scope(scope or {})
    kept, planned = _found(version, chosen, seed)
    review = ReviewRound.objects.create(
        project=version.project,
        version=version,
        name=name,
        instructions=instructions.strip(),
        scope=chosen.as_dict() | kept,
        seed=seed,
        double_share=double_share,
        people=_dealt_to(version.project, people),
        planned=planned,
        created_by=by,
    )
    record(review, "reviewround.opened", actor=by.email, rows=planned, scope=chosen.as_dict(), double=double_share)
    queue.lay_stretch(review)
    return review


def _read_scope(scope: Mapping[str, Any]) -> Scope:
    try:
        return read_scope(scope)
    except BadScope as bad:
        raise Invalid(str(bad), code="bad_scope", field="scope") from bad


def _found(version: DatasetVersion, scope: Scope, seed: int) -> tuple[dict[str, Any], int]:
    """What of the search is kept with the round, and how many rows it plans; refuses an empty or an endless one."""
    if scope.filter == "finding" and not version.findings.filter(code=scope.value).exists():
        raise Invalid(f"This version has no finding “{scope.value}”.", code="unknown_finding", field="scope")
    rows = reads.rows_of(version, scope)
    if not len(rows):
        raise Invalid(f"There is nothing to look at: no row is among {scope}.", code="no_rows", field="scope")
    if scope.filter != "text":
        return {}, len(drawn(rows, scope, seed))
    if len(rows) > MOST_FOUND:
        raise Invalid(
            f"More than {number(MOST_FOUND)} rows hold “{scope.value}”. Search for something rarer, or draw a sample "
            "of all rows.",
            code="too_many_rows",
            field="scope",
        )
    return {"rows": rows.tolist()}, len(drawn(rows, scope, seed))


def _dealt_to(project: Project, people: Sequence[User]) -> list[int]:
    """Ids of people, each once, all of whom may decide here."""
    wanted = list(dict.fromkeys(person.pk for person in people))
    known = set(reads.reviewers(project).filter(pk__in=wanted).values_list("pk", flat=True))
    if set(wanted) - known:
        raise Invalid("Rows can only be given to members who may review data.", code="not_a_reviewer", field="people")
    return wanted


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def assign_round(review: ReviewRound, *, by: User, people: Sequence[User] = ()) -> ReviewRound:
    """Deal what nobody has decided or holds out anew: evenly to these people, or to whoever comes first."""
    review = ReviewRound.objects.select_for_update().select_related("project").get(pk=review.pk)
    queue.refuse_unless_open(review)
    review.people = _dealt_to(review.project, people)
    review.save(update_fields=["people"])
    now = leases.database_time()
    free = Q(held_by=None) | Q(held_until__lt=now)
    waiting = review.items.filter(free, decided__lt=F("needs"))
    if not review.people:
        waiting.update(assigned_to=None)
    for place, person in enumerate(review.people):
        waiting.alias(place=Mod("position", len(review.people))).filter(place=place).update(assigned_to=person)
    _pass_second_looks(review)
    record(review, "reviewround.assigned", actor=by.email, people=len(review.people))
    return review


def _pass_second_looks(review: ReviewRound) -> None:
    """Nobody is dealt a second look at what they have decided themselves."""
    own = review.items.filter(decided__lt=F("needs"), decisions__reviewer=F("assigned_to"))
    for item in own.select_for_update():
        done = set(item.decisions.values_list("reviewer", flat=True))
        item.assigned_to_id = next((pk for pk in review.people if pk not in done), None)
        item.save(update_fields=["assigned_to"])


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def rule_on(item: ReviewItem, *, by: User, verdict: str, answer: str = "", reason: str = "") -> ReviewRuling:
    """The last word on a row about which people disagreed; a later ruling takes the place of an earlier one."""
    said = queue.read_decision(verdict, answer, reason or "ruled", "")
    queue.refuse_swap(item, verdict)
    review = ReviewRound.objects.select_for_update().get(pk=item.round_id)
    queue.refuse_unless_open(review)
    if said["verdict"] == Verdict.SKIP:
        raise Invalid("A ruling accepts, fixes or rejects.", code="unknown_verdict", field="verdict")
    if item.decisions.exclude(verdict=Verdict.SKIP.value).count() < 2:
        raise Refused("Fewer than two people have looked at this row: there is nothing to rule on.", code="no_dispute")
    said.pop("comment")
    ruling, _ = ReviewRuling.objects.update_or_create(item=item, defaults={**said, "reason": reason, "by": by})
    record(item, "reviewitem.ruled", actor=by.email, reason=reason, index=item.row, verdict=verdict)
    return ruling


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def close_round(review: ReviewRound, *, by: User) -> ReviewRound:
    """End the round: book the time, and queue the version with its fixes and without its rejected rows.

    Rows in dispute and rows that nobody looked at stay as they are. Where nothing changes no version is made.
    """
    move(review, RoundState.CLOSED, actor=by.email, closed_at=leases.database_time(), build=None)
    book_round(review)
    steps = recipe_of(review)
    if steps:
        review.build = clean_version(review.version, by=by, steps=steps, title=f"Review: {review}")
        review.save(update_fields=["build"])
    return review


def recipe_of(review: ReviewRound) -> list[dict[str, Any]]:
    """The steps that carry out what was decided; rows are named by their numbers in the version."""
    names = dict(reads.reviewers(review.project).values_list("pk", "email"))
    at = review.closed_at.isoformat(timespec="seconds") if review.closed_at else ""
    edits: list[dict[str, Any]] = []
    rejected: list[int] = []
    for row, look in sorted(review_progress.changes(review), key=lambda change: change[0]):
        said = {"row": row, "by": names.get(look.by or 0, ""), "at": at}
        if look.verdict == Verdict.REJECT:
            rejected.append(row)
        else:
            edits.append(said | ({"swap": True} if look.verdict == Verdict.SWAP else {"answer": look.answer}))
    steps: list[dict[str, Any]] = [{"op": "edit", "edits": edits}] if edits else []
    if rejected:
        steps.append({"op": "drop_rows", "indices": rejected, "reason": f"Rejected in “{review}”"})
    return steps


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def reopen_round(review: ReviewRound, *, by: User) -> ReviewRound:
    """Go on looking, as long as no version was made of it."""
    build = review.build
    if build is not None and (build.version_id is not None or build.is_active):
        raise Refused(
            "The version of this review is there or being made. Open a new review of the new version instead.",
            code="version_made",
        )
    move(review, RoundState.OPEN, actor=by.email, closed_at=None, build=None)
    return review


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def discard_round(review: ReviewRound, *, by: User, reason: str = "") -> ReviewRound:
    """Nothing of it is used; the time spent stays in the ledger, and what was said in the audit log."""
    move(review, RoundState.DISCARDED, actor=by.email, reason=reason, closed_at=leases.database_time())
    book_round(review)
    return review
