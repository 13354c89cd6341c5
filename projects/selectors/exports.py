"""The ledger as files: a table for spreadsheets, and the columns of FOCUS. Both are written while they are read."""

import csv
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.text import slugify

from projects.domain import focus
from projects.domain.focus import Account, Charge
from projects.domain.spreadsheets import safe_cell
from projects.models import LedgerEntry, Project
from projects.selectors.costs import kind_word
from projects.selectors.ledger import subject_models

CHUNK = 1000
HEAD = (
    "line", "ended_at", "started_at", "cause", "outcome", "loss_cause", "subject_kind", "subject_id", "subject",
    "quantity", "idle_quantity", "unit", "unit_price", "amount", "currency", "device", "attempt", "person", "note",
    "corrects", "booked_by", "reason",
)  # fmt: skip


class Echo:
    """A file that hands back what is written to it, so that an export is streamed."""

    def write(self, text: str) -> str:
        return text


def plain_csv(found: QuerySet[LedgerEntry]) -> Iterator[str]:
    """Every line as a row of a spreadsheet: numbers as numbers, and no text that could be taken for a formula."""
    writer = csv.writer(Echo())
    yield "\ufeff"  # without it spreadsheets read UTF-8 as something else
    yield writer.writerow(HEAD)
    for line in found.iterator(chunk_size=CHUNK):
        yield writer.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in _plain(line)])


def _plain(line: LedgerEntry) -> list[Any]:
    attempt = line.attempt
    return [
        line.pk,
        line.ended_at.isoformat(timespec="seconds"),
        line.started_at.isoformat(timespec="seconds"),
        line.cause,
        line.outcome,
        line.loss_cause,
        line.subject_kind,
        line.subject_id,
        line.subject_label,
        line.quantity,
        line.idle_quantity,
        line.unit,
        line.unit_price,
        line.amount,
        line.currency,
        (attempt.device_name or attempt.device) if attempt else "",
        attempt.number if attempt else None,
        str(line.person) if line.person else "",
        line.note,
        line.corrects_id,
        str(line.booked_by) if line.booked_by else "",
        line.reason,
    ]


def focus_csv(project: Project, found: QuerySet[LedgerEntry]) -> Iterator[str]:
    """Every line as a charge in the columns of FOCUS 1.2."""
    account = Account(
        organisation=settings.ORGANISATION,
        organisation_id=slugify(settings.ORGANISATION) or "organisation",
        project=project.name,
        project_id=project.slug,
    )
    kinds = project.ledger.order_by().values_list("subject_kind", flat=True).distinct()
    models = subject_models(kinds)
    writer = csv.DictWriter(Echo(), focus.COLUMNS)
    yield writer.writeheader()
    for line in found.select_related("attempt", "corrects").iterator(chunk_size=CHUNK):
        yield writer.writerow(focus.row(charge(line, kind_word(line.subject_kind, models)), account))


def charge(line: LedgerEntry, word: str) -> Charge:
    """A line as the specification sees it."""
    about, attempt = line.corrects or line, line.attempt
    return Charge(
        line=line.pk,
        amount=line.amount,
        currency=line.currency,
        quantity=line.quantity,
        idle_quantity=line.idle_quantity,
        unit=line.unit,
        unit_price=line.unit_price,
        started_at=about.started_at,
        ended_at=about.ended_at,
        billed_at=line.ended_at,
        cause=line.cause,
        outcome=line.outcome,
        loss_cause=line.loss_cause,
        kind=line.subject_kind,
        kind_word=word,
        number=line.subject_id,
        label=line.subject_label,
        note=line.reason or line.note,
        corrects=line.corrects_id,
        device=(attempt.device_name or attempt.device) if attempt else "",
        attempt=attempt.number if attempt else None,
    )
