"""Changes that a second person merges: discussing, merging, closing, bringing up to date."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from datasets_app import ingest, selectors
from datasets_app.domain.recipes import BY_ROW, Op
from datasets_app.models import Build, Dataset, DatasetVersion, Proposal, ProposalComment, Stage
from projects import leases
from projects.access import requires
from projects.domain.errors import Invalid, Refused
from projects.domain.permissions import Permission
from projects.models import User
from projects.transitions import JustChanged, record

State = Proposal.State


@requires(Permission.DATASET_REVIEW)
@transaction.atomic
def comment_proposal(proposal: Proposal, *, by: User, text: str) -> ProposalComment:
    text = text.strip()
    if not text or len(text) > 10_000:
        raise Invalid("A comment has 1 to 10,000 characters.", field="text")
    comment = ProposalComment.objects.create(proposal=proposal, author=by, text=text)
    record(proposal, "proposal.commented", actor=by.email, reason=text[:2000])
    return comment


@requires(Permission.DATASET_MERGE)
@transaction.atomic
def merge_proposal(proposal: Proposal, *, by: User, reason: str = "") -> Proposal:
    """Release the proposed version. Never by whoever proposed it, and never onto a dataset that has moved on."""
    dataset = Dataset.objects.select_for_update().get(pk=proposal.dataset_id)
    proposal.refresh_from_db()
    refuse_decided(proposal)
    if proposal.proposed_by_id == by.pk:
        raise Refused("You proposed this change. A second person has to look at it and merge it.", code="own_proposal")
    version = proposal.version
    if version is None:
        raise Refused("The rows of this change are still being made. Wait for the result.", code="still_building")
    if selectors.is_stale(proposal):
        raise Refused(
            f"{dataset} has moved on to {selectors.latest_version(dataset)} since this change was made from "
            f"{proposal.base}. Bring it up to date first, so that what you look at is what is merged.",
            code="stale",
        )
    _decide(proposal, State.MERGED, by)
    DatasetVersion.every.filter(pk=version.pk).update(stage=Stage.RELEASED)
    record(proposal, "proposal.merged", actor=by.email, reason=reason, version=version.number)
    version.refresh_from_db()
    transaction.on_commit(lambda: ingest.compare_later(version))
    return proposal


@requires(Permission.DATASET_MERGE)
@transaction.atomic
def close_proposal(proposal: Proposal, *, by: User, reason: str = "") -> Proposal:
    """Decline the change, or take one's own back. Its version is kept and can be looked at, but not used."""
    Dataset.objects.select_for_update().get(pk=proposal.dataset_id)
    proposal.refresh_from_db()
    refuse_decided(proposal)
    if proposal.proposed_by_id != by.pk and not reason.strip():
        raise Invalid("Say why, so that the next proposal can be better.", code="reason_required", field="reason")
    if proposal.state == State.BUILDING and proposal.build is not None and proposal.build.is_active:
        leases.request_cancel(proposal.build, actor=by.email)
    _decide(proposal, State.CLOSED, by)
    if proposal.version_id:
        DatasetVersion.every.filter(pk=proposal.version_id).update(stage=Stage.DECLINED)
    record(proposal, "proposal.closed", actor=by.email, reason=reason)
    return proposal


@requires(Permission.DATASET_EDIT)
@transaction.atomic
def update_proposal(proposal: Proposal, *, by: User) -> Proposal:
    """Carry the same change out anew on the newest version; that is what is looked at and merged then."""
    dataset = Dataset.objects.select_for_update().get(pk=proposal.dataset_id)
    proposal.refresh_from_db()
    refuse_decided(proposal)
    latest = selectors.latest_version(dataset)
    if latest is None or not selectors.is_stale(proposal):
        raise Refused("This change is up to date: it was made from the newest version.", code="up_to_date")
    if proposal.state == State.BUILDING:
        raise Refused("The rows of this change are still being made. Wait for the result.", code="still_building")
    old = proposal.build
    if old is None or old.source is None or old.source.dataset_id != dataset.pk:
        # Rows that do not come from this dataset stay as they are; what they are held against moves on.
        Proposal.objects.filter(pk=proposal.pk).update(base=latest)
        record(proposal, "proposal.updated", actor=by.email, base=latest.number)
    else:
        _rebuild(proposal, old, latest, by)
    proposal.refresh_from_db()
    if proposal.version is not None and proposal.state == State.OPEN:
        ingest.queue_diff(latest, proposal.version, actor=by.email)
    return proposal


def _rebuild(proposal: Proposal, old: Build, latest: DatasetVersion, by: User) -> None:
    assert old.source is not None
    steps, lost = carried(old.steps, old.source, latest)
    if not steps:
        raise Refused(
            f"None of the rows that this change is about is in {latest} any more, so nothing is left to do. Close it.",
            code="nothing_left",
        )
    build = Build.objects.create(
        project=proposal.project, dataset=proposal.dataset, source=latest, steps=steps, created_by=proposal.proposed_by
    )
    build.merged.set(old.merged.all())
    Proposal.objects.filter(pk=proposal.pk).update(build=build, state=State.BUILDING)
    record(proposal, "proposal.updated", actor=by.email, base=latest.number, rows_not_there_any_more=lost)
    leases.queue_job(build, actor=by.email)


def carried(steps: list[dict[str, Any]], old: DatasetVersion, new: DatasetVersion) -> tuple[list[dict[str, Any]], int]:
    """The steps with rows named by their numbers in the new version; and how many of them are not there any more."""
    places: dict[int, int] | None = None
    found, lost = [], 0
    for step in steps:
        if step["op"] not in BY_ROW:
            found.append(step)
            continue
        places = selectors.same_rows(old, new) if places is None else places
        name, number = ("indices", int) if step["op"] == Op.DROP_ROWS else ("edits", lambda edit: edit["row"])
        there = [one for one in step[name] if number(one) in places]
        lost += len(step[name]) - len(there)
        moved = [places[one] if step["op"] == Op.DROP_ROWS else {**one, "row": places[one["row"]]} for one in there]
        if moved:
            found.append({**step, name: moved})
    return found, lost


def refuse_decided(proposal: Proposal) -> None:
    if proposal.state in (State.MERGED, State.CLOSED):
        raise Refused(
            f"This change was {State(proposal.state).label.lower()} by {proposal.decided_by}.", code="already_decided"
        )


def _decide(proposal: Proposal, state: State, by: User) -> None:
    """Only one decision wins, also where the database does not lock rows."""
    won = Proposal.objects.filter(pk=proposal.pk, state__in=[State.OPEN, State.BUILDING]).update(
        state=state, decided_by=by, decided_at=timezone.now()
    )
    if not won:
        raise JustChanged("This change has just been decided by somebody else. Reload the page.")
    proposal.refresh_from_db()
