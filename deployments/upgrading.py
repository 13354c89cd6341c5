"""What moves upgrades on: parts are taken up or started, their ends noted, and the report written at the end.

A step is taken by every turn of the reconciler and whenever work of the project has ended, by any process. It is one
transaction under the lock of the upgrade, it reads everything from rows, and doing it again changes nothing. Parts are
started by the services that people use, with the rights of whoever started the upgrade.
"""

import logging
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction

from deployments import starting
from deployments.domain.upgrades import NEEDS, Part
from deployments.models import Upgrade, UpgradeItem
from deployments.selectors import reports
from deployments.selectors.upgrades import compared, pair_key
from projects import leases, transitions
from projects.domain.budget import OverBudget
from projects.domain.errors import Refused
from projects.domain.states import OVER, JobState

logger = logging.getLogger(__name__)
ACTOR = "upgrade"
MOVING = (JobState.QUEUED, JobState.RUNNING)
ROWS = (
    "adapter__run", "adapter__base", "golden__dataset", "baseline__golden__dataset",
    "probe", "carried", "retrain__adapter", "retrained",
)  # fmt: skip


def advance_all() -> int:
    """One step of every upgrade under way; one that cannot be moved on must not keep the others from it."""
    moved = 0
    for pk in Upgrade.objects.filter(state__in=MOVING).order_by("pk").values_list("pk", flat=True):
        moved += _try(pk)
    return moved


def advance_after(job: Any) -> int:
    """After the end of any work of a project: its upgrades need not wait for the reconciler."""
    rows = Upgrade.objects.filter(project=job.project, state__in=MOVING).order_by("pk")
    return sum(_try(pk) for pk in rows.values_list("pk", flat=True))


def _try(pk: int) -> int:
    try:
        return advance(pk)
    except Exception:
        logger.exception("upgrade %s cannot be moved on", pk)
        return 0


def advance(pk: int) -> int:
    """One step of one upgrade; how much was taken up, started or closed. Rivals do nothing while another is at it."""
    with transaction.atomic():
        upgrade = (
            Upgrade.objects.select_for_update(skip_locked=True, of=("self",)).filter(pk=pk, state__in=MOVING).first()
        )
        if upgrade is None:
            return 0
        if upgrade.state == JobState.QUEUED:
            began = upgrade.started_at or leases.database_time()
            transitions.move(upgrade, JobState.RUNNING, actor=ACTOR, started_at=began)
        items = items_of(upgrade)
        done = sum(_settle(item, upgrade.parts) for item in items)
        done += _start(upgrade, items)
        return done + _close(upgrade, items)


def items_of(upgrade: Upgrade) -> list[UpgradeItem]:
    """All of an order with the work for each; everything is of one project, so nobody has to ask for it again."""
    items = list(upgrade.items.select_related(*ROWS).order_by("number"))
    for item in items:
        item.upgrade = upgrade
        for row in (item.adapter, *(item.work(part) for part in Part)):
            if row is not None:
                row.project = upgrade.project
    return items


# What has ended


def _settle(item: UpgradeItem, parts: Sequence[Part]) -> int:
    """Write down what came to nothing, and how evaluations that are through compare."""
    changed = False
    for part in parts:
        work = item.work(part)
        if work is not None and part not in item.notes and work.state in {JobState.FAILED, JobState.CANCELLED}:
            item.notes[part.value] = {"code": work.error_code or work.state, "text": _told(work)}
            changed = True
    for other in (item.carried, item.retrained):
        if _is_through(item.baseline) and _is_through(other):
            key = pair_key(item.baseline, other)  # type: ignore[arg-type]
            if key not in item.compared:
                item.compared[key] = compared(item.baseline, other)  # type: ignore[arg-type]
                changed = True
    if changed:
        item.save(update_fields=["notes", "compared"])
    return int(changed)


def _is_through(work: Any) -> bool:
    return work is not None and work.state == JobState.SUCCEEDED


def _told(work: Any) -> str:
    if work.state == JobState.CANCELLED:
        return "It was cancelled."
    return work.error_message or "It failed."


# What comes next


def next_part(item: UpgradeItem, parts: Sequence[Part]) -> Part | None:
    """The part to start now; None while one is at work or when all is done. See `is_at_work`."""
    for part in parts:
        if part in item.notes:
            continue
        work = item.work(part)
        if work is None:
            return part
        if JobState(work.state) not in OVER:
            return None
    return None


def is_at_work(item: UpgradeItem, parts: Sequence[Part]) -> bool:
    rows = (item.work(part) for part in parts if part not in item.notes)
    return any(work is not None and JobState(work.state) not in OVER for work in rows)


def _start(upgrade: Upgrade, items: Sequence[UpgradeItem]) -> int:
    """Start what has a free place. What waits for money or for something else is tried again with the next step."""
    parts = upgrade.parts
    busy = sum(is_at_work(item, parts) for item in items)
    started, waiting = 0, ""
    for item in items:
        while busy < upgrade.at_once and (part := next_part(item, parts)) is not None:
            why = _one(upgrade, item, part)
            started += not why
            if why:
                waiting = waiting or why
                break
            busy += is_at_work(item, parts)
    if waiting != upgrade.waiting:
        Upgrade.objects.filter(pk=upgrade.pk).update(waiting=waiting)
        upgrade.waiting = waiting
    return started


def _one(upgrade: Upgrade, item: UpgradeItem, part: Part) -> str:
    """Start one part, or note why it cannot be; what it has to wait for, if that is all that keeps it."""
    missing = next((one for one in NEEDS.get(part, ()) if one in item.notes), None)
    if missing is not None:
        _note(item, part, item.notes[missing]["code"], item.notes[missing]["text"])
        return ""
    try:
        with transaction.atomic():
            return starting.start(upgrade, item, part)
    except OverBudget as over:
        return over.message
    except Refused as refused:
        _note(item, part, refused.code, refused.message)
    except PermissionDenied as denied:
        _note(item, part, "permission", str(denied))
    return ""


def _note(item: UpgradeItem, part: Part, code: str, text: str) -> None:
    item.notes[part.value] = {"code": code, "text": text}
    item.save(update_fields=["notes"])


# The end


def _came_of(item: UpgradeItem, parts: Sequence[Part]) -> bool:
    """Whether the order has answered anything for this adapter; that it need not be trained again is an answer."""
    through = any(_is_through(item.work(part)) for part in parts if part != Part.BASELINE)
    return through or any(note["code"] == starting.SURVIVES for note in item.notes.values())


def _close(upgrade: Upgrade, items: Sequence[UpgradeItem]) -> int:
    """Once everything has come to its end, the report is kept and what is still held let go."""
    parts = upgrade.parts
    if any(next_part(item, parts) is not None or is_at_work(item, parts) for item in items):
        return 0
    now, result = leases.database_time(), reports.report(upgrade).as_dict()
    if any(_came_of(item, parts) for item in items):
        transitions.move(upgrade, JobState.SUCCEEDED, actor=ACTOR, finished_at=now, result=result, waiting="")
    else:
        told = next((note["text"] for item in items for note in item.notes.values()), "No adapter was left.")
        changes = {"error_code": "no_result", "error_message": told, "finished_at": now, "result": result}
        transitions.move(upgrade, JobState.FAILED, actor=ACTOR, reason=told, waiting="", **changes)
    transitions.record(upgrade, "upgrade.finished", actor=ACTOR)
    return 1
