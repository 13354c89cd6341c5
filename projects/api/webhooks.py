"""Webhooks and their deliveries over the API."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.response import Response

from projects import access
from projects.api.people import ShowsSecret
from projects.api.serializers import EmptySerializer, ReasonSerializer, StrictModelSerializer, StrictSerializer
from projects.api.views import ProjectViewSet
from projects.domain.errors import Invalid
from projects.domain.permissions import Permission
from projects.models import Delivery, DeliveryAttempt, WebhookEndpoint
from projects.models.events import SEND_STATES
from projects.selectors import webhooks as selectors
from projects.services import webhooks as services

SHOWN_ONCE = "Shown only now. Standard Webhooks: `whsec_` and base64."


class WebhookSerializer(StrictModelSerializer):
    """An endpoint. `events` are names, or only “*” for everything."""

    events = serializers.ListField(child=serializers.CharField(max_length=60), max_length=100)
    waiting = serializers.IntegerField(read_only=True, help_text="Deliveries that are still tried.")
    given_up = serializers.IntegerField(read_only=True, help_text="Deliveries given up within seven days.")

    class Meta:
        model = WebhookEndpoint
        fields = [
            "id", "url", "description", "events", "state", "state_reason", "waiting", "given_up", "failures",
            "failing_since", "delivered_at", "old_until", "created_at",
        ]  # fmt: skip
        read_only_fields = [name for name in fields if name not in {"url", "description", "events"}]

    def to_representation(self, endpoint: WebhookEndpoint) -> Any:
        """The path of the address is for those who manage it: often it is the receiver's own secret."""
        told = super().to_representation(endpoint)
        return told if self.context.get("manages") else told | {"url": endpoint.shown_url}


class WebhookMadeSerializer(WebhookSerializer):
    secret = serializers.CharField(read_only=True, help_text=SHOWN_ONCE)

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]


class RotateSerializer(StrictSerializer):
    overlap_hours = serializers.IntegerField(
        min_value=0, max_value=services.LONGEST_OVERLAP, default=services.DAY, help_text="Both secrets sign so long."
    )


class SecretSerializer(serializers.Serializer):
    secret = serializers.CharField(help_text=SHOWN_ONCE)


class DeliveryAttemptSerializer(serializers.ModelSerializer):
    class Meta:
        model = DeliveryAttempt
        fields = [
            "started_at", "ended_at", "ok", "status", "code", "message", "milliseconds", "address", "response",
        ]  # fmt: skip
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer):
    """One event for one endpoint. `code` and `message` say what the last attempt failed with."""

    event = serializers.CharField(source="event.uid")
    type = serializers.CharField(source="event.name")

    class Meta:
        model = Delivery
        fields = [
            "id", "event", "type", "state", "attempts", "asked", "code", "message", "created_at", "next_at", "over_at",
        ]  # fmt: skip


class DeliveryDetailSerializer(DeliverySerializer):
    tries = DeliveryAttemptSerializer(many=True)
    data: Any = serializers.JSONField(source="event.data")

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "data", "tries"]


class WebhookViewSet(ShowsSecret, mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Endpoints that are told of events. Owners manage them, engineers see and test them."""

    queryset = WebhookEndpoint.objects.none()
    serializer_class = WebhookSerializer
    permission = Permission.WEBHOOK_USE
    services = {
        "create": services.create_endpoint,
        "partial_update": services.change_endpoint,
        "destroy": services.delete_endpoint,
        "rotate": services.rotate_secret,
        "ping": services.ping_endpoint,
        "pause": services.pause_endpoint,
        "resume": services.resume_endpoint,
    }

    def get_queryset(self) -> Any:
        if not hasattr(self, "project"):
            return WebhookEndpoint.objects.none()
        return selectors.endpoints(self.project)

    def get_serializer_context(self) -> dict[str, Any]:
        project = getattr(self, "project", None)
        manages = project is not None and access.may(self.request.user, Permission.WEBHOOK_MANAGE, project)
        return {**super().get_serializer_context(), "manages": manages}

    @extend_schema(responses={201: WebhookMadeSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Make an endpoint. Takes no Idempotency-Key: the secret is shown once."""
        if refusal := self.refuse_key(request):
            return refusal
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        made, secret = self.services["create"](self.project, by=request.user, **given.validated_data)
        shown = self.get_queryset().get(pk=made.pk)
        shown.secret = secret
        told = WebhookMadeSerializer(shown, context=self.get_serializer_context())
        return Response(told.data, status=status.HTTP_201_CREATED)

    def partial_update(self, request: Any, **kwargs: Any) -> Response:
        """Change what is given and leave the rest."""
        given = self.get_serializer(self.get_object(), data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        self.services["partial_update"](self.get_object(), by=request.user, **given.validated_data)
        return self.shown()

    @extend_schema(parameters=[ReasonSerializer], responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Delete an endpoint; what waits for it is given up."""
        reason = request.query_params.get("reason", "")[:2000]
        self.services["destroy"](self.get_object(), by=request.user, reason=reason)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=RotateSerializer, responses=SecretSerializer)
    def rotate(self, request: Any, **kwargs: Any) -> Response:
        """Replace the secret. For a while the old one signs, too. Takes no Idempotency-Key."""
        if refusal := self.refuse_key(request):
            return refusal
        given = RotateSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        secret = self.services["rotate"](self.get_object(), by=request.user, **given.validated_data)
        return Response({"secret": secret})

    @extend_schema(request=EmptySerializer, responses={202: DeliverySerializer})
    def ping(self, request: Any, **kwargs: Any) -> Response:
        """Send a test; look at the delivery to see what came back."""
        EmptySerializer(data=request.data).is_valid(raise_exception=True)
        made = self.services["ping"](self.get_object(), by=request.user)
        return Response(DeliverySerializer(made).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=ReasonSerializer, responses=WebhookSerializer)
    def pause(self, request: Any, **kwargs: Any) -> Response:
        """Send nothing until it is resumed; what happens meanwhile is not kept for it."""
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        self.services["pause"](self.get_object(), by=request.user, **given.validated_data)
        return self.shown()

    @extend_schema(request=EmptySerializer, responses=WebhookSerializer)
    def resume(self, request: Any, **kwargs: Any) -> Response:
        """Send again, also to one that was switched off."""
        EmptySerializer(data=request.data).is_valid(raise_exception=True)
        self.services["resume"](self.get_object(), by=request.user)
        return self.shown()

    def shown(self) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    known_filters = ("reason",)


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=[name for name, _ in SEND_STATES]),
            OpenApiParameter("type", str, description="Exact, such as run.failed"),
        ]
    )
)
class DeliveryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """What became of each event for an endpoint, the newest first."""

    queryset = Delivery.objects.none()
    serializer_class = DeliverySerializer
    permission = Permission.WEBHOOK_USE
    services = {"again": services.send_again}
    known_filters = ("state", "type")

    def get_queryset(self) -> Any:
        if not hasattr(self, "project"):
            return Delivery.objects.none()
        endpoint = get_object_or_404(selectors.endpoints(self.project), pk=self.kwargs["endpoint"])
        state, kind = (self.request.query_params.get(name, "") for name in self.known_filters)
        if state and state not in dict(SEND_STATES):
            raise Invalid(f"“{state[:20]}” is not a state of deliveries.", field="state")
        return selectors.deliveries(endpoint, state=state, event=kind)

    @extend_schema(responses=DeliveryDetailSerializer)
    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        """One delivery with every attempt: status, time it took, the first kilobyte of the answer."""
        return Response(DeliveryDetailSerializer(self.get_object()).data)

    @extend_schema(request=EmptySerializer, responses={202: DeliverySerializer})
    def again(self, request: Any, **kwargs: Any) -> Response:
        """Send it once more, with the same id."""
        EmptySerializer(data=request.data).is_valid(raise_exception=True)
        sent = self.services["again"](self.get_object(), by=request.user)
        return Response(DeliverySerializer(sent).data, status=status.HTTP_202_ACCEPTED)
