"""Events, what kinds there are, and what one hears of by e-mail, over the API."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.response import Response

from projects.api.serializers import StrictSerializer
from projects.api.views import ProjectViewSet
from projects.domain.permissions import Permission
from projects.domain.telling import Mail
from projects.models import Event, MailChoice
from projects.selectors import webhooks as selectors
from projects.services import notifications


class EventTypeSerializer(serializers.Serializer):
    """One kind of event; `example` is the `data` of its payload."""

    name = serializers.CharField()
    group = serializers.CharField()
    meaning = serializers.CharField()
    example = serializers.JSONField()


class EventSerializer(serializers.ModelSerializer):
    """Something that happened. `id` is the `webhook-id` that it is delivered with."""

    id = serializers.CharField(source="uid")
    type = serializers.CharField(source="name")
    timestamp = serializers.DateTimeField(source="at")

    class Meta:
        model = Event
        fields = ["id", "type", "timestamp", "subject", "data"]


class NotificationSerializer(StrictSerializer):
    """What you hear of by e-mail: for every event “off”, “mine” or “all”; what you leave out stays."""

    muted = serializers.BooleanField(required=False, help_text="No mail of this project at all.")
    events = serializers.DictField(child=serializers.ChoiceField([mail.value for mail in Mail]), required=False)


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("type", str, description="Exact, such as run.failed"),
            OpenApiParameter("subject", str, description="Exact, such as training.run:7"),
        ]
    )
)
class EventViewSet(mixins.ListModelMixin, ProjectViewSet):
    """What has happened lately, the newest first: what webhooks were told, also for those who missed it."""

    queryset = Event.objects.none()
    serializer_class = EventSerializer
    permission = Permission.WEBHOOK_USE
    known_filters = ("type", "subject")

    def get_queryset(self) -> Any:
        if not hasattr(self, "project"):
            return Event.objects.none()
        asked = self.request.query_params
        return selectors.events_of(self.project, name=asked.get("type", ""), subject=asked.get("subject", ""))


class EventTypeViewSet(ProjectViewSet):
    """Everything that one can be told of."""

    queryset = Event.objects.none()
    serializer_class = EventTypeSerializer
    pagination_class = None

    @extend_schema(responses=EventTypeSerializer(many=True))
    def list(self, request: Any, **kwargs: Any) -> Response:
        """Every kind of event with its meaning and an example of its data."""
        kinds = [kind for _, group in selectors.catalogue() for kind in group]
        return Response(EventTypeSerializer(kinds, many=True).data)


class NotificationViewSet(ProjectViewSet):
    """What you hear of by e-mail in this project."""

    queryset = MailChoice.objects.none()
    serializer_class = NotificationSerializer
    services = {"partial_update": notifications.choose_mail}

    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        """For every event what you are told: what you chose, else what is usual for your role."""
        return self.answer()

    def partial_update(self, request: Any, **kwargs: Any) -> Response:
        """Change what is given and leave the rest."""
        given = NotificationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = given.validated_data
        service = self.services["partial_update"]
        service(self.project, by=request.user, choices=wanted.get("events"), muted=wanted.get("muted"))
        return self.answer()

    def answer(self) -> Response:
        member = selectors.member(self.project, self.request.user)
        choice, groups = selectors.mail_of(member)
        chosen = {one.kind.name: one.mail.value for _, group in groups for one in group}
        return Response({"muted": bool(choice and choice.muted_at), "events": chosen})
