"""Where background work is done: hosts, their worker processes and cards, and the canaries of the queues.

Hosts belong to the installation and to no project. What stands here is what the workers themselves last said.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q


class Host(models.Model):
    """One machine that takes work, by the name its workers give it."""

    name = models.CharField(max_length=120, unique=True)
    beat_at = models.DateTimeField(help_text="When any of its worker processes was last heard of.")
    load = models.JSONField(default=dict, help_text="Processors, memory and the disk of the work folder.")
    cards_note = models.CharField(max_length=300, blank=True, help_text="Why no card is listed, when none is.")
    draining_at = models.DateTimeField(null=True)
    drained_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    drain_reason = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class WorkerProcess(models.Model):
    """One process that listens to queues and starts supervisors."""

    host = models.ForeignKey(Host, models.CASCADE, related_name="processes")
    pid = models.PositiveIntegerField()
    queues = models.JSONField(default=list)
    places = models.JSONField(default=dict, help_text="Queue to the places that it may fill.")
    versions = models.JSONField(default=dict)
    stop_grace_seconds = models.FloatField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["beat_at"], name="worker_beats")]

    def __str__(self) -> str:
        return f"{self.host}/{self.pid}"


class Card(models.Model):
    """One GPU of a host and its last reading; what the card does not tell is null."""

    host = models.ForeignKey(Host, models.CASCADE, related_name="cards")
    index = models.PositiveSmallIntegerField()
    uuid = models.CharField(max_length=80, blank=True)
    name = models.CharField(max_length=120)
    memory_bytes = models.BigIntegerField(null=True)
    memory_used_bytes = models.BigIntegerField(null=True)
    temperature = models.FloatField(null=True, help_text="°C")
    utilisation = models.FloatField(null=True, help_text="Share of the time in which it computed, 0 to 1.")
    power_watts = models.FloatField(null=True)

    class Meta:
        ordering = ["index"]
        constraints = [
            models.UniqueConstraint(fields=["host", "index"], name="one_card_per_index"),
            models.CheckConstraint(
                name="a_share_of_time",
                condition=Q(utilisation=None) | Q(utilisation__gte=0, utilisation__lte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.host}, card {self.index}"


class Canary(models.Model):
    """The last small message through a queue: when it was sent, when a worker had it."""

    queue = models.CharField(max_length=20, unique=True)
    number = models.PositiveBigIntegerField(default=0)
    sent_at = models.DateTimeField()
    waiting_since = models.DateTimeField(null=True, help_text="When the first was sent that nobody has had yet.")
    seen_at = models.DateTimeField(null=True)
    seen_by = models.CharField(max_length=120, blank=True)
    seen_number = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(null=True, help_text="From sending to seeing, of the last one that was seen.")

    def __str__(self) -> str:
        return f"canary of {self.queue}"
