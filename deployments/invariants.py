"""What must be true of slots at every moment."""

from collections.abc import Iterator

from django.db.models import F, Q

from deployments.models import Deployment
from projects.domain.states import JobState
from projects.invariants import NAMED


def what_is_live_was_approved(deep: bool) -> Iterator[str]:
    other = ~Q(request__decided_digest=F("request__digest")) | Q(request__decided_by=None)
    for deployment in Deployment.objects.filter(other, live=True)[:NAMED]:
        yield f"deployment {deployment.pk}: it is live without an approval of this very evidence"


def what_is_live_has_succeeded(deep: bool) -> Iterator[str]:
    for deployment in Deployment.objects.filter(live=True).exclude(state=JobState.SUCCEEDED)[:NAMED]:
        yield f"deployment {deployment.pk}: it is live and {deployment.state}"


def slots_point_at_what_is_live(deep: bool) -> Iterator[str]:
    """Where the slot's folder is on this host and nothing is being switched."""
    for deployment in Deployment.objects.filter(live=True).select_related("slot__project"):
        link = deployment.slot.folder / "current"
        switching = deployment.slot.deployments.filter(state=JobState.RUNNING).exists()
        if link.is_symlink() and not switching and link.readlink().name != deployment.release:
            yield f"deployment {deployment.pk}: it is live and the slot points at {link.readlink().name}"


INVARIANTS = [
    ("approved", "What is live was approved on the evidence it stands on.", what_is_live_was_approved),
    ("live", "What is live is a deployment that succeeded.", what_is_live_has_succeeded),
    ("slots", "A slot's folder points at the release that is live.", slots_point_at_what_is_live),
]
