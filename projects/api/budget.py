"""The month's budget over the API: where it stands, what is held, and requests for a yes beyond it."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from projects.api import filters
from projects.api.serializers import ReasonSerializer
from projects.api.views import ProjectViewSet
from projects.domain.budget import RequestState
from projects.models import BudgetRequest, Hold
from projects.models.budget import HOLD_STATES
from projects.selectors import budget as selectors
from projects.services import budget as services


def _money(**options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=14, decimal_places=6, **options)


class MonthEndSerializer(serializers.Serializer):
    """What the month will have cost at its end."""

    p10 = _money()
    p50 = _money()
    p90 = _money()


class BudgetSerializer(serializers.Serializer):
    """The running calendar month. `left` is the budget without what is spent and held; null where there is none."""

    month = serializers.DateField(source="month.first_day")
    timezone = serializers.CharField(default="UTC")
    budget = _money(source="month.budget", allow_null=True)
    spent = _money(source="month.spent")
    held = _money(source="month.held")
    left = _money(source="month.left", allow_null=True)
    currency = serializers.CharField()
    stop_at_budget = serializers.BooleanField(source="hard_limit")
    month_end = MonthEndSerializer(source="end", allow_null=True)


class HoldSerializer(serializers.ModelSerializer):
    left = _money()

    class Meta:
        model = Hold
        fields = [
            "id", "job_label", "job_id", "job_text", "month", "projected", "amount", "spent", "left", "state",
            "reason", "request", "opened_at", "exceeded_at", "released_at",
        ]  # fmt: skip


class BudgetRequestSerializer(serializers.ModelSerializer):
    asked_by = serializers.EmailField(source="asked_by.email")
    decided_by = serializers.EmailField(source="decided_by.email", allow_null=True, default=None)
    is_own = serializers.BooleanField(help_text="Approved by whoever asked.")

    class Meta:
        model = BudgetRequest
        fields = [
            "id", "job_label", "job_id", "job_text", "state", "amount", "over_by", "budget", "asked_by", "asked_at",
            "reason", "decided_by", "decided_at", "answer", "is_own",
        ]  # fmt: skip


class BudgetDetail(ProjectViewSet):
    serializer_class = BudgetSerializer

    @extend_schema(responses=BudgetSerializer)
    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        """Spent, held and left in the running month."""
        status = selectors.status(self.project, timezone.now())
        about = {"month": status.month, "end": status.end, "hard_limit": status.hard_limit}
        return Response(BudgetSerializer(about | {"currency": self.project.currency}).data)


@extend_schema_view(
    list=extend_schema(parameters=[OpenApiParameter("state", enum=[state for state, _ in HOLD_STATES])])
)
class HoldViewSet(mixins.ListModelMixin, ProjectViewSet):
    """Money set aside for runs; the newest first."""

    queryset = Hold.objects.none()
    serializer_class = HoldSerializer
    known_filters = ("state",)

    def get_queryset(self) -> QuerySet[Hold]:
        if not hasattr(self, "project"):
            return Hold.objects.none()
        state = filters.one_of(self.request, "state", [name for name, _ in HOLD_STATES])
        return self.project.holds.filter(**({"state": state} if state else {})).order_by("-pk")


@extend_schema_view(
    list=extend_schema(parameters=[OpenApiParameter("state", enum=[state.value for state in RequestState])])
)
class BudgetRequestViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """What was asked of the owners beyond the month's budget; the newest first."""

    queryset = BudgetRequest.objects.none()
    serializer_class = BudgetRequestSerializer
    known_filters = ("state",)
    services = {
        "approve": services.approve_request,
        "decline": services.decline_request,
        "withdraw": services.withdraw_request,
    }

    def get_queryset(self) -> QuerySet[BudgetRequest]:
        if not hasattr(self, "project"):
            return BudgetRequest.objects.none()
        found = selectors.requests(self.project)
        state = filters.one_of(self.request, "state", [state.value for state in RequestState])
        return found.filter(state=state) if state and self.action == "list" else found

    def decided(self, request: Any) -> Response:
        fields = ReasonSerializer(data=request.data)
        fields.is_valid(raise_exception=True)
        done = self.services[str(self.action)](self.get_object(), by=request.user, **fields.validated_data)
        return Response(self.get_serializer(done).data)

    @extend_schema(request=ReasonSerializer, responses=BudgetRequestSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Any, **kwargs: Any) -> Response:
        """Let it start beyond the budget. Owners only, signed in: a token cannot."""
        return self.decided(request)

    @extend_schema(request=ReasonSerializer, responses=BudgetRequestSerializer)
    @action(detail=True, methods=["post"])
    def decline(self, request: Any, **kwargs: Any) -> Response:
        """A no, with its reason; the work is what it was before."""
        return self.decided(request)

    @extend_schema(request=ReasonSerializer, responses=BudgetRequestSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Any, **kwargs: Any) -> Response:
        """Take back what you asked for yourself."""
        return self.decided(request)
