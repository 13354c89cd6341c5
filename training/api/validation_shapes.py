"""What the API says of the rows that a run is looked at with."""

from typing import Any

from rest_framework import serializers

from training import selectors
from training.models import Run


class SharedRowsSerializer(serializers.Serializer):
    """Rows of the training data that stand in the validation data as well, each under the closest kind."""

    exact = serializers.IntegerField()
    normalised = serializers.IntegerField()
    ngram = serializers.IntegerField()
    near = serializers.IntegerField()
    total = serializers.IntegerField()


class ValidationSerializer(serializers.Serializer):
    """How the run does on them so far; figures are null before the first look. The curve is among the metrics."""

    loss = serializers.FloatField(allow_null=True, help_text="Mean over the trained tokens, or over the pairs.")
    best = serializers.FloatField(allow_null=True)
    best_step = serializers.IntegerField(allow_null=True)
    step = serializers.IntegerField(allow_null=True, help_text="Of the newest look.")
    rows = serializers.IntegerField(allow_null=True, help_text="Read at each look, always the same ones.")
    overfitting = serializers.CharField(
        allow_blank=True, help_text="In words, where it has clearly risen from its best while the training loss fell."
    )
    shared = SharedRowsSerializer(allow_null=True, help_text="Null before they are counted.")


def validation_of(run: Run) -> dict[str, Any] | None:
    """As ValidationSerializer describes it; None for a run without such rows."""
    if run.validation_version is None:
        return None
    course = selectors.validated([run]).get(run.pk)
    found: dict[str, Any] = dict.fromkeys(("loss", "best", "best_step", "step"))
    if course is not None:
        found = {"loss": course.last, "best": course.best, "best_step": course.best_step, "step": course.last_step}
    told = {
        "rows": (run.report.get("validation") or {}).get("rows"),
        "overfitting": selectors.overfits(run, course),
        "shared": selectors.shared_rows(run),
    }
    return dict(ValidationSerializer(found | told).data)
