"""The API of slots, requests and deployments: the same services as the pages."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.response import Response

from deployments import services
from deployments.api import serializers as shapes
from deployments.domain import gates
from deployments.domain.states import RequestState, Verdict
from deployments.models import Deployment, DeploymentRequest, Slot
from deployments.selectors import evidence, reviews
from evaluation import selectors as evaluations
from projects.api import filters
from projects.api.serializers import EmptySerializer, ReasonSerializer
from projects.api.views import Idempotent, ProjectViewSet
from projects.domain.errors import Invalid


def checked(serializer_class: Any, request: Any) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


def one_of(queryset: Any, pk: int | None, field: str) -> Any:
    """A row of this project by its number, or the refusal that names the field."""
    found = queryset.filter(pk=pk).first() if pk else None
    if pk and found is None:
        raise Invalid(f"This project has no {field} {pk}.", code="not_in_project", field=field)
    return found


class SlotViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    lookup_value_converter = "int"
    serializer_class = shapes.SlotSerializer
    queryset = Slot.objects.none()
    services = {"create": services.create_slot, "rollback": services.roll_back}

    def get_queryset(self) -> QuerySet[Slot]:
        live = Deployment.objects.filter(live=True).select_related("adapter")
        return (
            Slot.objects.filter(project=self.project)
            .select_related("project", "created_by")
            .prefetch_related(Prefetch("deployments", live, to_attr="live_now"))
        )

    def create(self, request: Any, **kwargs: Any) -> Response:
        """Make a slot."""
        fields = checked(shapes.SlotSerializer, request)

        def make() -> Response:
            slot = self.services["create"](self.project, by=request.user, **fields)
            return Response(self.get_serializer(self.get_queryset().get(pk=slot.pk)).data, status=201)

        return self.create_once(request, make)

    @extend_schema(request=ReasonSerializer, responses={202: shapes.DeploymentSerializer})
    @action(detail=True, methods=["post"])
    def rollback(self, request: Any, **kwargs: Any) -> Response:
        """Go back to the adapter that was live before; needs no approval."""
        slot, fields = self.get_object(), checked(ReasonSerializer, request)
        made = self.services["rollback"](slot, by=request.user, **fields)
        return Response(shapes.DeploymentSerializer(made).data, status=status.HTTP_202_ACCEPTED)


class RequestViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    lookup_value_converter = "int"
    serializer_class = shapes.RequestSerializer
    queryset = DeploymentRequest.objects.none()
    services = {
        "create": services.request_deployment,
        "comment": services.comment,
        "decide": services.decide,
        "deploy": services.deploy_request,
        "withdraw": services.withdraw,
        "resubmit": services.resubmit,
    }

    @property
    def known_filters(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("state", "slot") if self.action == "list" else ()

    def get_queryset(self) -> QuerySet[DeploymentRequest]:
        found = reviews.requests(self.project)
        if self.action != "list":
            return found
        if state := filters.one_of(self.request, "state", [state.value for state in RequestState]):
            found = found.filter(state=state)
        slot = filters.row_number(self.request, "slot", "A slot")
        return found if slot is None else found.filter(slot=slot)

    def whole(self, request: DeploymentRequest, code: int = 200) -> Response:
        row = reviews.requests(self.project).prefetch_related("reviews__author").get(pk=request.pk)
        row.gates = gates.judge(row.evidence)
        row.changed_since = evidence.changes_since(row, trusting_files=True) if row.is_open else []
        return Response(shapes.RequestDetailSerializer(row).data, status=code)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "state", enum=[state.value for state in RequestState], description="Only requests in this state"
            ),
            OpenApiParameter("slot", int, description="Only requests for this slot"),
        ]
    )
    def list(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Requests, the newest first."""
        return super().list(request, *args, **kwargs)

    @extend_schema(responses=shapes.RequestDetailSerializer)
    def retrieve(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """A request with its evidence, gates, changes since the submission, and discussion."""
        return self.whole(self.get_object())

    @extend_schema(request=shapes.NewRequestSerializer, responses={201: shapes.RequestDetailSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Ask for an adapter to go live in a slot."""
        fields = checked(shapes.NewRequestSerializer, request)
        things = {
            "slot": one_of(self.project.slots, fields["slot"], "slot"),
            "adapter": one_of(self.project.adapters, fields["adapter"], "adapter"),
            "evaluation": one_of(evaluations.evaluations(self.project), fields["evaluation"], "evaluation"),
        }

        def make() -> Response:
            said = {name: fields[name] for name in ("message", "base_decision_reason")}
            made = self.services["create"](self.project, by=request.user, **said, **things)
            return self.whole(made, 201)

        return self.create_once(request, make)

    @extend_schema(request=shapes.CommentSerializer, responses={201: shapes.ReviewSerializer})
    @action(detail=True, methods=["post"])
    def comment(self, request: Any, **kwargs: Any) -> Response:
        asked, fields = self.get_object(), checked(shapes.CommentSerializer, request)
        made = self.services["comment"](asked, by=request.user, **fields)
        return Response(shapes.ReviewSerializer(made).data, status=201)

    @extend_schema(request=shapes.DecideSerializer, responses={201: shapes.ReviewSerializer})
    @action(detail=True, methods=["post"])
    def decide(self, request: Any, **kwargs: Any) -> Response:
        """Approve, request changes or reject. Only a signed-in person can; a token is refused."""
        asked, fields = self.get_object(), checked(shapes.DecideSerializer, request)
        verdict = Verdict(fields.pop("verdict"))
        made = self.services["decide"](asked, by=request.user, verdict=verdict, session=request.auth is None, **fields)
        return Response(shapes.ReviewSerializer(made).data, status=201)

    @extend_schema(request=EmptySerializer, responses={202: shapes.DeploymentSerializer})
    @action(detail=True, methods=["post"])
    def deploy(self, request: Any, **kwargs: Any) -> Response:
        """Start the deployment of an approved request."""
        asked = self.get_object()
        checked(EmptySerializer, request)
        made = self.services["deploy"](asked, by=request.user)
        return Response(shapes.DeploymentSerializer(made).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=ReasonSerializer, responses=shapes.RequestDetailSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Any, **kwargs: Any) -> Response:
        asked, fields = self.get_object(), checked(ReasonSerializer, request)
        return self.whole(self.services["withdraw"](asked, by=request.user, **fields))

    @extend_schema(request=shapes.ResubmitSerializer, responses=shapes.RequestDetailSerializer)
    @action(detail=True, methods=["post"])
    def resubmit(self, request: Any, **kwargs: Any) -> Response:
        """Submit again with the evidence of today."""
        asked, fields = self.get_object(), checked(shapes.ResubmitSerializer, request)
        chosen = one_of(evaluations.evaluations(self.project), fields.pop("evaluation"), "evaluation")
        return self.whole(self.services["resubmit"](asked, by=request.user, evaluation=chosen, **fields))


class DeploymentViewSet(ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    lookup_value_converter = "int"
    serializer_class = shapes.DeploymentSerializer
    queryset = Deployment.objects.none()
    services = {"rollback": services.roll_back}

    def get_queryset(self) -> QuerySet[Deployment]:
        return Deployment.objects.filter(project=self.project).select_related("slot__project", "deployed_by", "adapter")

    @extend_schema(request=ReasonSerializer, responses={202: shapes.DeploymentSerializer})
    @action(detail=True, methods=["post"])
    def rollback(self, request: Any, **kwargs: Any) -> Response:
        """Make this earlier deployment live again in its slot."""
        earlier, fields = self.get_object(), checked(ReasonSerializer, request)
        made = self.services["rollback"](earlier.slot, by=request.user, to=earlier, **fields)
        return Response(shapes.DeploymentSerializer(made).data, status=status.HTTP_202_ACCEPTED)
