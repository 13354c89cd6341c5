"""What this host can do at a time: places for jobs, which of them are taken, and what a job's child may see.

A place is a card ("gpu:0") or a share of the processors ("cpu:1"). A card has `LUTHIER_GPU_SLOTS` places, one by
default, so two runs never share a card by accident; a host without cards has as many places on its processors.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from projects import jobs, probes
from projects.domain.places import parts
from projects.domain.states import JobState
from projects.models import Host
from projects.turns import Room, that_hold, together

BEATS_UNTIL_STALE = 6


def stale_before(now: datetime) -> datetime:
    """Whoever was last heard of before this is taken for gone."""
    return now - timedelta(seconds=BEATS_UNTIL_STALE * settings.WORKER_BEAT_SECONDS)


def host_name() -> str:
    return settings.WORKER_HOST


@contextmanager
def one_claimer(queue: str) -> Iterator[None]:
    """Only one process of a host claims at a time, so that no place is given away twice."""
    path = Path(settings.WORK_DIR) / f"claim-{host_name()}-{queue}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def places(queue: str) -> list[str]:
    """Every place that this process may fill, cards in turn, so that work spreads before it doubles up."""
    count = settings.SLOTS[queue]
    mine = probes.own_cards() if queue == "gpu" else ()
    if mine:
        return [f"gpu:{card.index}" for _ in range(count) for card in mine]
    return [f"cpu:{number}" for number in range(count)]


def free_places(queue: str) -> list[str]:
    """Places that no running job holds; none at all while the host is being drained."""
    free = places(queue)
    for place in (part for taken in _taken(queue) for part in parts(taken)):
        if place in free:
            free.remove(place)
        elif free and not place.startswith("gpu:"):
            free.pop()  # it runs somewhere on the processors, under a number that is no longer given out
    return [] if is_draining() else free


def room(queue: str, free: list[str], now: datetime) -> Room:
    """What this host has for a queue, and which hosts are at work beside it."""
    at_work = Host.objects.filter(beat_at__gte=stale_before(now), draining_at=None).values_list("name", flat=True)
    return Room(host_name(), free, len(set(places(queue))), frozenset(at_work))


def _taken(queue: str) -> list[str]:
    owner = f"{host_name()}/{queue}/"
    at_work = {"state": JobState.RUNNING, "owner__startswith": owner}
    kinds = that_hold((kind.model for kind in jobs.kinds(queue)), JobState.RUNNING)
    if not kinds:
        return []
    return [place for (place,) in together(model.objects.filter(**at_work).values_list("place") for model in kinds)]


def is_draining() -> bool:
    return Host.objects.filter(name=host_name(), draining_at__isnull=False).exists()


def environment(queue: str, place: str) -> dict[str, str]:
    """What a job's child is told of the cards: its own and no others; work on processors sees none."""
    if place.startswith("gpu:"):
        # The driver counts cards by their place on the bus; CUDA would count by speed.
        return {"CUDA_VISIBLE_DEVICES": place.removeprefix("gpu:"), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return {"CUDA_VISIBLE_DEVICES": ""} if queue == "cpu" else {}
