"""Counts of attempts in a stretch of time, shared by every web process."""

from django.db import models


class Throttle(models.Model):
    """One counter. The key is a hash, so that no address of a person lies here in the clear."""

    key = models.CharField(max_length=64, unique=True)
    count = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} until {self.expires_at}"
