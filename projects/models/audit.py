"""What happened, in words that outlive the rows it happened to: no foreign keys, and never changed."""

from django.db import models

from projects.domain.errors import Refused


class AuditEvent(models.Model):
    project_slug = models.SlugField()
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=120)
    target_label = models.CharField(max_length=200)
    actor = models.CharField(max_length=254)
    reason = models.TextField(blank=True)
    detail = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["project_slug", "-id"]), models.Index(fields=["target", "-id"])]

    def __str__(self) -> str:
        return f"{self.action} {self.target_label}"

    def save(self, *args, **kwargs) -> None:
        if self.pk is not None:
            raise Refused("The audit log is only ever added to.", code="audit_is_append_only")
        super().save(*args, **kwargs)
