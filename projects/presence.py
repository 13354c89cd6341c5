"""This worker process as everybody else knows it: announced with what it is, and heard of with every beat."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from projects import leases, probes, slots
from projects.models import Card, Host, WorkerProcess


def rivals(queues: Sequence[str], now: datetime) -> int:
    """How many living worker processes hear the queue that the fewest hear, of these."""
    alive = WorkerProcess.objects.filter(beat_at__gte=slots.stale_before(now)).values_list("queues", flat=True)
    heard = [queue for hearing in alive for queue in hearing]
    return min((heard.count(queue) for queue in queues), default=1)


class Presence:
    """The row of one worker process."""

    def __init__(self, queues: Sequence[str]) -> None:
        self.queues = list(queues)
        self.pk = 0  # none yet
        self.started_at: datetime | None = None

    def beat(self) -> datetime:
        """Write down that the process lives, and the state of its host. Returns the database's time."""
        reading, load = probes.read_cards(), probes.read_load()
        probes.remember(reading)
        now = leases.database_time()
        self.started_at = self.started_at or now
        with transaction.atomic():
            changes = {"beat_at": now, "load": load, "cards_note": reading.note}
            host, _ = Host.objects.update_or_create(name=slots.host_name(), defaults=changes)
            self._write(host, now)
            host.processes.filter(beat_at__lt=slots.stale_before(now)).exclude(pk=self.pk).delete()
            _write_cards(host, reading)
        return now

    def _write(self, host: Host, now: datetime) -> None:
        told: dict[str, Any] = {
            "host": host,
            "queues": self.queues,
            "places": {queue: slots.places(queue) for queue in self.queues},
            "versions": probes.versions(),
            "stop_grace_seconds": settings.STOP_GRACE_SECONDS,
            "beat_at": now,
        }
        begun = self.started_at or now
        if not WorkerProcess.objects.filter(pk=self.pk).update(**told):
            self.pk = WorkerProcess.objects.create(pid=os.getpid(), started_at=begun, **told).pk

    def leave(self) -> None:
        """Say goodbye: a process that was stopped in good order is not missed."""
        WorkerProcess.objects.filter(pk=self.pk).delete()


def _write_cards(host: Host, reading: probes.Cards) -> None:
    rows = [
        Card(
            host=host,
            index=card.index,
            uuid=card.uuid,
            name=card.name,
            memory_bytes=card.memory_bytes,
            memory_used_bytes=card.memory_used_bytes,
            temperature=card.temperature,
            utilisation=card.utilisation,
            power_watts=card.power_watts,
        )
        for card in reading.cards
    ]
    told = [field.name for field in Card._meta.concrete_fields if field.name not in {"id", "host", "index"}]
    Card.objects.bulk_create(rows, update_conflicts=True, unique_fields=["host", "index"], update_fields=told)
    host.cards.exclude(index__in=[row.index for row in rows]).delete()
