"""Metrics of runs over the API: what there is, and curves as short as they are asked for."""

from typing import Any

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action

from projects.domain.errors import Invalid
from training import selectors
from training.domain.series import LAST_STEP, SHOWN, Series
from training.models import Run

MOST_POINTS = 1_000_000


class CurveRequestSerializer(serializers.Serializer):
    """Which part of which metric, over what, in how many points."""

    name = serializers.CharField(default="", max_length=40, help_text="Only this metric; left out, all of them.")
    first = serializers.IntegerField(default=0, min_value=0, max_value=LAST_STEP, help_text="From this step on.")
    last = serializers.IntegerField(default=LAST_STEP, min_value=0, max_value=LAST_STEP, help_text="Up to this step.")
    points = serializers.IntegerField(
        default=SHOWN,
        min_value=10,
        max_value=MOST_POINTS,
        help_text="At most so many; among them the first, the last, the lowest and the highest.",
    )
    over = serializers.ChoiceField(
        choices=selectors.AXES, default="step", help_text="Steps, seconds of training, or tokens seen."
    )


class CurveSerializer(serializers.Serializer):
    """One metric. What is not a number is null."""

    name = serializers.CharField()
    count = serializers.IntegerField(help_text="Points that were reported in the part that was asked for.")
    steps = serializers.ListField(child=serializers.IntegerField())
    values = serializers.ListField(child=serializers.FloatField(allow_null=True))
    x = serializers.ListField(
        child=serializers.FloatField(allow_null=True), required=False, help_text="Where the points stand, over `over`."
    )
    average = serializers.DictField(
        required=False, help_text="Of curves beyond 150,000 points: steps and means of each thousand."
    )


class Curves:
    """Mixed into the view set of runs."""

    get_object: Any

    @extend_schema(parameters=[CurveRequestSerializer], responses={200: CurveSerializer(many=True)})
    @action(detail=True, methods=["get"], pagination_class=None)
    def metrics(self, request: Any, **kwargs: Any) -> HttpResponse:
        """The metrics of the run by name, each thinned so that no peak is lost."""
        asked = CurveRequestSerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        run, wanted = self.get_object(), asked.validated_data
        if wanted["first"] > wanted["last"]:
            raise Invalid("The first step lies behind the last.", code="range_reversed", field="first")
        names = [wanted["name"]] if wanted["name"] else selectors.names(run)
        found = [curve(run, name, wanted) for name in names]
        body = [one for one in found if one["count"]]
        return HttpResponse(orjson.dumps(body), content_type="application/json")


def curve(run: Run, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """One metric as CurveSerializer describes it."""
    first, last = wanted["first"], wanted["last"]
    drawn = selectors.drawn(run, name, first=first, last=last, points=wanted["points"])
    found = {"name": name, "count": drawn.count, **_lists(drawn.points)}
    if wanted["over"] != "step":
        found["x"] = selectors.across(run, drawn.points, wanted["over"])
    if drawn.average is not None:
        found["average"] = _lists(drawn.average)
    return found


def _lists(points: Series) -> dict[str, Any]:
    steps, values = points.lists()
    return {"steps": steps, "values": values}
