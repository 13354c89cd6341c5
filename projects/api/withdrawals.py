"""Withdrawing nodes of the lineage over the API."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.response import Response

from projects.api.serializers import StrictSerializer
from projects.api.views import Idempotent, ProjectViewSet
from projects.domain.staleness import BY_PEOPLE, WORDS
from projects.models import Withdrawal
from projects.services import lineage

SAID = [(cause.value, WORDS[cause]) for cause in BY_PEOPLE]


class WithdrawalSerializer(serializers.ModelSerializer):
    by = serializers.CharField(source="by.email")
    lifted_by = serializers.CharField(source="lifted_by.email", default=None, allow_null=True)
    stands = serializers.BooleanField()

    class Meta:
        model = Withdrawal
        fields = [
            "id", "node", "label", "cause", "reason", "by", "at", "stands", "lifted_by", "lifted_at", "lifted_reason",
        ]  # fmt: skip


class NewWithdrawalSerializer(StrictSerializer):
    node = serializers.CharField(max_length=60, help_text="Such as base:3")
    cause = serializers.ChoiceField(SAID)
    reason = serializers.CharField(max_length=2000)


class LiftSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=2000)


class WithdrawalViewSet(Idempotent, mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """What nothing new may stand on, with reasons; also what was taken back. The newest first."""

    queryset = Withdrawal.objects.none()
    serializer_class = WithdrawalSerializer
    services = {"create": lineage.withdraw_node, "lift": lineage.reinstate_node}

    def get_queryset(self) -> QuerySet[Withdrawal]:
        return self.project.withdrawals.select_related("project", "by", "lifted_by")

    @extend_schema(request=NewWithdrawalSerializer, responses={201: WithdrawalSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Withdraw a base, data or an adapter: all that descends from it is stale from now on."""
        serializer = NewWithdrawalSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)

        def make() -> Response:
            made = self.services["create"](self.project, by=request.user, **serializer.validated_data)
            return Response(self.get_serializer(made).data, status=201)

        return self.create_once(request, make)

    @extend_schema(request=LiftSerializer, responses=WithdrawalSerializer)
    def lift(self, request: Any, **kwargs: Any) -> Response:
        """Take a withdrawal back. It stays on record."""
        serializer = LiftSerializer(data=request.data)
        withdrawal = self.get_object()
        serializer.is_valid(raise_exception=True)
        return Response(
            self.get_serializer(self.services["lift"](withdrawal, by=request.user, **serializer.validated_data)).data
        )
