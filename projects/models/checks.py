"""What the periodic check of the invariants found."""

from django.db import models


class InvariantCheck(models.Model):
    began_at = models.DateTimeField()
    seconds = models.FloatField()
    asked = models.PositiveIntegerField(help_text="How many invariants were asked.")
    broken = models.JSONField(default=list, help_text="Name, sentence and rows of each that does not hold.")

    class Meta:
        indexes = [models.Index(fields=["-began_at"])]

    def __str__(self) -> str:
        return f"{len(self.broken)} of {self.asked} invariants broken at {self.began_at:%Y-%m-%d %H:%M}"

    @property
    def holds(self) -> bool:
        return not self.broken
