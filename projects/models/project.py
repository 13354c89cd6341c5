"""A project is the tenant: everything else hangs on exactly one."""

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user) -> "ProjectQuerySet":
        return self.filter(memberships__user=user)


def _price(default: str) -> models.DecimalField:
    return models.DecimalField(
        max_digits=10, decimal_places=4, default=Decimal(default), validators=[MinValueValidator(Decimal(0))]
    )


class Project(models.Model):
    name = models.CharField(max_length=200)
    slug = models.SlugField(unique=True)
    description = models.TextField(blank=True)
    currency = models.CharField(max_length=3, default="EUR")
    # Defaults are round figures of the public price lists of 2026; a project sets its own.
    gpu_hour_price = _price("3.50")
    cpu_hour_price = _price("0.10")
    people_hour_price = _price("60")
    monthly_budget = models.DecimalField(
        max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(Decimal(0))]
    )
    stop_at_budget = models.BooleanField(default=False)
    # Data: what may lie here, who must see a change, and how much of it models may have written.
    storage_quota_bytes = models.BigIntegerField(null=True, blank=True, validators=[MinValueValidator(0)])
    review_data_changes = models.BooleanField(default=False)
    max_synthetic_share = models.DecimalField(max_digits=4, decimal_places=3, null=True, blank=True)
    max_synthetic_depth = models.PositiveSmallIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="prices_are_not_negative",
                condition=Q(gpu_hour_price__gte=0, cpu_hour_price__gte=0, people_hour_price__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def hour_price(self, device: str) -> Decimal:
        """Price of one hour on a device, by the name the engine gave it ("cpu", "cuda", "cuda:1", …)."""
        return self.gpu_hour_price if device.startswith("cuda") else self.cpu_hour_price
