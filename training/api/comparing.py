"""Runs beside each other over the API: what differs, what came of them, and their curves, short enough for many."""

import math
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from projects.domain.errors import Invalid
from projects.models import Project
from training import pages, selectors
from training.domain import comparing
from training.domain.comparing import MOST, OVER
from training.domain.looks import Course
from training.models import Run

KNOWN = ("runs", "metric", "over", "smooth", "whole")
PARAMETERS = [
    OpenApiParameter("runs", str, description=f"Numbers of up to {MOST} runs: 12,15,19."),
    OpenApiParameter("metric", str, default="loss"),
    OpenApiParameter("over", str, enum=list(OVER), default="step"),
    OpenApiParameter("smooth", float, default=0, description="Weight of the moving average, from 0 to 0.99."),
    OpenApiParameter("whole", str, enum=["1"], description="All settings, also those that do not differ."),
]


class RunScoreSerializer(serializers.Serializer):
    """The newest result of the run's adapter on one golden set; shares from 0 to 1, the difference to the base."""

    measure = serializers.CharField()
    value = serializers.FloatField()
    difference = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    n = serializers.IntegerField()


class ComparedRunSerializer(serializers.Serializer):
    """One run with its curve; x and y are empty where it did not report the metric."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    state = serializers.CharField()
    loss = serializers.FloatField(source="last_loss", allow_null=True)
    validation_loss = serializers.FloatField(allow_null=True, help_text="The newest, of rows that are held out.")
    best_validation_loss = serializers.FloatField(allow_null=True)
    tokens_per_second = serializers.FloatField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    cost = serializers.DecimalField(max_digits=14, decimal_places=6, allow_null=True)
    scores = RunScoreSerializer(many=True)
    x = serializers.ListField(child=serializers.FloatField())
    y = serializers.ListField(child=serializers.FloatField(allow_null=True))


class DifferenceSerializer(serializers.Serializer):
    """One setting with its value in each run, by the run's number; null where it has none."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    differs = serializers.BooleanField()
    values = serializers.DictField(child=serializers.CharField(allow_null=True))


class ComparisonSerializer(serializers.Serializer):
    metric = serializers.CharField()
    metrics = serializers.ListField(child=serializers.CharField(), help_text="What any of the runs reported.")
    over = serializers.ChoiceField(list(OVER))
    points = serializers.IntegerField(help_text="Of a curve at most; fewer the more runs there are.")
    runs = ComparedRunSerializer(many=True)
    differences = DifferenceSerializer(many=True)


class Comparing:
    """Mixed into the view set of runs."""

    project: Project
    get_queryset: Any

    @extend_schema(parameters=PARAMETERS, responses={200: ComparisonSerializer})
    @action(detail=False, methods=["get"], pagination_class=None)
    def compare(self, request: Any, **kwargs: Any) -> Response:
        """Up to a hundred runs beside each other, their curves thinned so that no peak is lost."""
        asked = comparing.read(request.query_params.dict())
        runs = selectors.compared(self.project, asked)
        if missing := set(asked.runs) - {run.pk for run in runs}:
            raise Invalid(f"This project has no run {min(missing)}.", code="not_in_project", field="runs")
        scores, curves = selectors.run_scores(runs), pages.curves(runs, asked)
        looked = selectors.validated(runs)
        data = {
            "metric": asked.metric,
            "metrics": selectors.metric_names(runs),
            "over": asked.over,
            "points": asked.points,
            "runs": [
                _compared(run, scores.get(run.pk, []), curves.get(run.pk, ([], [])), looked.get(run.pk)) for run in runs
            ],
            "differences": pages.differences(runs, whole=asked.whole),
        }
        return Response(ComparisonSerializer(data).data)


def _compared(
    run: Run, scores: list[Any], curve: tuple[list[float], list[float]], course: Course | None
) -> dict[str, Any]:
    names = ("id", "name", "state", "last_loss", "tokens_per_second", "seconds", "cost")
    told = {name: getattr(run, name) for name in names}
    told |= {"validation_loss": course and course.last, "best_validation_loss": course and course.best}
    return told | {"scores": scores, "x": curve[0], "y": [y if math.isfinite(y) else None for y in curve[1]]}
