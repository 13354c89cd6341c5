"""The API of retraining without erased rows."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from projects.api.serializers import StrictSerializer
from projects.api.views import ProjectViewSet
from training import selectors, services
from training.api import serializers as shapes
from training.api.durable import checked
from training.domain.retraining import WORDS
from training.models import Adapter

STATES = [(state.value, word) for state, word in WORDS.items()]


class RetrainingSerializer(serializers.Serializer):
    """One adapter with erased rows behind it. `version` is data without them, `replacement` what was made of that."""

    adapter = serializers.IntegerField(source="adapter.pk")
    name = serializers.CharField(source="adapter.name")
    state = serializers.ChoiceField(STATES, source="state.value")
    told = serializers.CharField(help_text="What has to happen, in a sentence.")
    version = serializers.IntegerField(source="version.pk", allow_null=True, default=None)
    run = serializers.IntegerField(source="run.pk", allow_null=True, default=None)
    replacement = serializers.IntegerField(source="replacement.pk", allow_null=True, default=None)
    reasons = serializers.SerializerMethodField()
    live = serializers.SerializerMethodField(help_text="What of it is live, by its node in the lineage.")

    def get_reasons(self, one: selectors.Retraining) -> list[str]:
        return [f"{mark.node}: {mark.reason}" for mark in one.marks]

    def get_live(self, one: selectors.Retraining) -> list[str]:
        return [brief.id for brief in one.live]


class RetrainSerializer(StrictSerializer):
    budget_reason = serializers.CharField(
        max_length=2000, required=False, allow_blank=True, default="", help_text="After 409 `over_budget`."
    )


class RetrainingViewSet(ProjectViewSet):
    """Adapters that were trained on erased rows, what is still to be done first."""

    serializer_class = RetrainingSerializer
    queryset = Adapter.objects.none()
    pagination_class = None

    @extend_schema(responses={200: RetrainingSerializer(many=True)})
    def list(self, request: Any, **kwargs: Any) -> Response:
        return Response(RetrainingSerializer(selectors.retrainings(self.project), many=True).data)


class Retrains(ProjectViewSet):
    """The part of the API of adapters that trains them again."""

    services = {"retrain": services.retrain_without}

    @extend_schema(request=RetrainSerializer, responses={202: shapes.RunDetailSerializer})
    @action(detail=True, methods=["post"])
    def retrain(self, request: Any, **kwargs: Any) -> Response:
        """Train it again without erased rows: the old recipe over the newest version of its data that is free of them.

        409 `tokens_not_counted` means: its data is being counted, try again in a moment.
        """
        given = checked(RetrainSerializer, request)
        run = self.services["retrain"](self.get_object(), by=request.user, **given)
        return Response(shapes.RunDetailSerializer(selectors.runs(self.project).get(pk=run.pk)).data, status=202)
