"""What is live where, since when, and what can be gone back to."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from deployments.domain.states import OPEN
from deployments.models import Deployment, DeploymentRequest, Slot
from evaluation import selectors as evaluations
from projects.domain.states import ACTIVE, JobState
from projects.models import Project


@dataclass(frozen=True)
class SlotCard:
    slot: Slot
    live: Deployment | None
    open_requests: Sequence[DeploymentRequest]
    switching: Deployment | None


def history(slot: Slot) -> QuerySet[Deployment]:
    """Every switch of a slot, the newest first."""
    return slot.deployments.select_related(
        "adapter__base__project",
        "request",
        "request__evaluation__base",
        "request__evaluation__adapter__base",
        "request__decided_by",
        "deployed_by",
        "back_to",
    ).order_by("-pk")


def live(slot: Slot) -> Deployment | None:
    return history(slot).filter(live=True).first()


def otherwise(live: Deployment | None) -> evaluations.Cell | None:
    """What has to be said of what is live where it was judged on another base than it was trained on."""
    judged = live.request.evaluation if live else None
    return evaluations.otherwise(judged.adapter, judged.base) if judged else None


def switching(slot: Slot) -> Deployment | None:
    return history(slot).filter(state__in=ACTIVE).first()


def rollback_targets(slot: Slot) -> list[Deployment]:
    """Forward deployments older than the one that is live, the newest first, each adapter once.

    After a rollback only still older ones are left: the release that was rolled back does not return by a click.
    """
    now = live(slot)
    if now is None:
        return []
    found: dict[int, Deployment] = {}
    earlier = history(slot).filter(
        state=JobState.SUCCEEDED, kind="deploy", verified_at__isnull=False, pk__lt=now.origin.pk
    )
    for deployment in earlier.exclude(adapter=now.adapter):
        found.setdefault(deployment.adapter_id, deployment)
    return list(found.values())


def cards(project: Project) -> list[SlotCard]:
    """One card per slot, in a fixed number of queries."""
    slots = list(project.slots.order_by("name"))
    lives = {d.slot_id: d for d in _of(project).filter(live=True)}
    moving = {d.slot_id: d for d in _of(project).filter(state__in=ACTIVE)}
    requests: dict[int, list[DeploymentRequest]] = {}
    for request in (
        project.deployment_requests.filter(state__in=OPEN)
        .select_related("adapter", "requested_by", "slot", "project")
        .order_by("submitted_at")
    ):
        requests.setdefault(request.slot_id, []).append(request)
    return [SlotCard(slot, lives.get(slot.pk), requests.get(slot.pk, []), moving.get(slot.pk)) for slot in slots]


def _of(project: Project) -> QuerySet[Deployment]:
    return project.deployments.select_related("adapter", "deployed_by", "request", "request__decided_by", "slot")


def serving(slot: Slot) -> str:
    """The release that the slot's folder really points to; empty when there is none."""
    try:
        return (slot.folder / "current").readlink().name
    except OSError:
        return ""


def drifted(slot: Slot, now: Deployment | None) -> bool:
    """Whether the folder serves something else than the rows say."""
    return serving(slot) != (now.release if now else "")
