"""What must be true of money at every moment; asked together with the invariants of background work."""

from collections.abc import Iterator

from django.db.models import Exists, F, OuterRef, Q, Sum

from projects import invariants, jobs
from projects.domain.budget import RequestState
from projects.domain.states import OVER, JobState
from projects.models import BudgetRequest, Hold, LedgerEntry

NAMED = invariants.NAMED


def holds_end_with_their_work(deep: bool) -> Iterator[str]:
    for kind in jobs.with_money():
        model = kind.model
        over = model.objects.filter(pk=OuterRef("job_id"), state__in=OVER)  # type: ignore[attr-defined]
        there = model.objects.filter(pk=OuterRef("job_id"))  # type: ignore[attr-defined]
        open_ones = Hold.objects.filter(state="open", job_label=kind.label)
        for hold in open_ones.filter(Exists(over) | ~Exists(there))[:NAMED]:
            yield f"hold {hold.pk}: {hold.job_text} is over, and {hold.amount} are still held for it"


def what_waits_was_asked_for(deep: bool) -> Iterator[str]:
    asked = BudgetRequest.objects.filter(state=RequestState.ASKED.value)
    for kind in jobs.with_money():
        model, mine = kind.model, asked.filter(job_label=kind.label)
        held = model.objects.filter(state=JobState.HELD)  # type: ignore[attr-defined]
        for job in held.filter(~Exists(mine.filter(job_id=OuterRef("pk"))))[:NAMED]:
            yield f"{kind.label} {job.pk}: it waits for a yes that nobody was asked for"
        waiting = held.filter(pk=OuterRef("job_id"))
        for request in mine.filter(~Exists(waiting))[:NAMED]:
            yield f"budget request {request.pk}: {request.job_text} does not wait for it"


def corrections_take_no_more_than_there_is(deep: bool) -> Iterator[str]:
    corrected = LedgerEntry.objects.filter(corrects__isnull=False).values("corrects", "corrects__amount")
    for row in corrected.annotate(sum=Sum("amount")).filter(sum__lt=-F("corrects__amount"))[:NAMED]:
        yield f"ledger line {row['corrects']}: its corrections take back more than it says"
    nested = Q(corrects__corrects__isnull=False) | ~Q(project=F("corrects__project"))
    for line in LedgerEntry.objects.filter(nested)[:NAMED]:
        yield f"ledger line {line.pk}: it corrects a correction, or another project's line"


def register() -> None:
    invariants.register("holds_end", "Money is held only for work that is not over.", holds_end_with_their_work)
    invariants.register(
        "asked_for", "What waits for a yes has one open request, and no other does.", what_waits_was_asked_for
    )
    invariants.register(
        "corrections", "Corrections take back at most what a line says.", corrections_take_no_more_than_there_is
    )
