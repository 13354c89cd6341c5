"""Hosts and queues over the API: what is running where, what waits and why; drain, resume, forget."""

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from projects import access
from projects.access import OperatorService
from projects.api.serializers import EmptySerializer, ReasonSerializer
from projects.api.views import known_only
from projects.models import Card, Host
from projects.selectors import queue, workers
from projects.services import hosts as services


class InstallationPermission(BasePermission):
    """Whoever belongs to a project may look; operators may write, and only themselves: a token has one project."""

    def has_permission(self, request: Any, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        if not access.is_member(request.user):
            raise Http404
        if request.method not in SAFE_METHODS:
            access.require_operator(request.user)
            if request.auth is not None:
                raise PermissionDenied("A token may not do this. Sign in and do it yourself.")
        return True


class CardSerializer(serializers.ModelSerializer):
    class Meta:
        model = Card
        fields = [
            "index", "uuid", "name", "memory_bytes", "memory_used_bytes", "temperature", "utilisation", "power_watts",
        ]  # fmt: skip
        read_only_fields = fields


class LoadSerializer(serializers.Serializer):
    """Shares from 0 to 1, and bytes."""

    cpu = serializers.FloatField(required=False)
    cpus = serializers.IntegerField(required=False)
    memory_used = serializers.IntegerField(required=False)
    memory_total = serializers.IntegerField(required=False)
    disk_free = serializers.IntegerField(required=False)
    disk_used = serializers.IntegerField(required=False)
    disk_total = serializers.IntegerField(required=False)


class WorkerSlotSerializer(serializers.Serializer):
    """One place for a job. `job` and `project` are told of your own projects only."""

    queue = serializers.CharField()
    place = serializers.CharField()
    busy = serializers.SerializerMethodField()
    job = serializers.SerializerMethodField()
    project = serializers.SerializerMethodField()
    remaining_seconds = serializers.FloatField(source="work.remaining", allow_null=True, default=None)

    def get_busy(self, slot: workers.Slot) -> bool:
        return slot.work is not None

    def get_job(self, slot: workers.Slot) -> str | None:
        return str(slot.work.job) if slot.work and slot.is_mine else None

    def get_project(self, slot: workers.Slot) -> str | None:
        return slot.work.job.project.slug if slot.work and slot.is_mine else None


class WorkerSerializer(serializers.Serializer):
    """One host."""

    id = serializers.IntegerField(source="host.pk")
    name = serializers.CharField(source="host.name")
    state = serializers.ChoiceField(["up", "draining", "stale"])
    heard_at = serializers.DateTimeField(source="host.beat_at")
    queues = serializers.ListField(child=serializers.CharField())
    slots = WorkerSlotSerializer(many=True)
    cards = CardSerializer(many=True)
    cards_note = serializers.CharField(source="host.cards_note", help_text="Why there is no card, if there is none.")
    load = LoadSerializer(source="host.load")
    versions = serializers.SerializerMethodField()
    differs = serializers.ListField(child=serializers.CharField(), help_text="Versions that differ between hosts.")
    processes = serializers.SerializerMethodField()
    draining_at = serializers.DateTimeField(source="host.draining_at", allow_null=True)
    drained_by = serializers.CharField(source="host.drained_by.email", allow_null=True, default=None)
    drain_reason = serializers.CharField(source="host.drain_reason")

    def get_versions(self, view: workers.HostView) -> dict[str, str]:
        return {version.name: version.value for version in view.versions}

    def get_processes(self, view: workers.HostView) -> int:
        return len(view.processes)


class InLineSerializer(serializers.Serializer):
    """One waiting job. `job` and `project` are told of your own projects only."""

    position = serializers.IntegerField()
    priority = serializers.IntegerField()
    since = serializers.DateTimeField()
    code = serializers.CharField(source="why.code")
    reason = serializers.CharField(source="why.text")
    kind = serializers.CharField()
    job = serializers.SerializerMethodField()
    project = serializers.CharField(source="job.project.slug", allow_null=True, default=None)

    def get_job(self, one: workers.InLine) -> str | None:
        return str(one.job) if one.job else None


class QueueSerializer(serializers.Serializer):
    """One queue: its line in the order in which jobs start, and the age of its last canary."""

    queue = serializers.CharField()
    waiting = serializers.IntegerField(source="length")
    hosts = serializers.IntegerField(source="scene.heard")
    slots = serializers.IntegerField(source="scene.slots")
    free = serializers.IntegerField(source="scene.free")
    canary_age_seconds = serializers.FloatField(source="canary_age", allow_null=True)
    canary_is_late = serializers.BooleanField()
    line = InLineSerializer(many=True, help_text="The first fifty.")


class InstallationViewSet(GenericViewSet):
    permission_classes = [InstallationPermission]
    pagination_class = None
    queryset = Host.objects.none()
    services: ClassVar[dict[str, OperatorService[Any]]] = {}

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known_only(request)

    def floor(self) -> workers.Floor:
        """A token looks with the eyes of its one project."""
        token, user = self.request.auth, self.request.user
        return workers.floor({token.project_id} if token is not None else queue.visible_projects(user))  # type: ignore[arg-type, union-attr]


class WorkerViewSet(InstallationViewSet):
    serializer_class = WorkerSerializer
    services = {"drain": services.drain_host, "resume": services.resume_host, "destroy": services.forget_host}

    @extend_schema(responses=WorkerSerializer(many=True))
    def list(self, request: Any) -> Response:
        """Hosts of the installation with their cards, slots, load and versions."""
        return Response(WorkerSerializer(self.floor().hosts, many=True).data)

    @extend_schema(request=ReasonSerializer, responses=WorkerSerializer)
    def drain(self, request: Any, pk: int) -> Response:
        """Take nothing new on this host; what runs there goes on to its end. For operators, signed in."""
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return self.done(pk, **given.validated_data)

    @extend_schema(request=EmptySerializer, responses=WorkerSerializer)
    def resume(self, request: Any, pk: int) -> Response:
        """Let a drained host take work again. For operators, signed in."""
        EmptySerializer(data=request.data).is_valid(raise_exception=True)
        return self.done(pk)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, pk: int) -> Response:
        """Forget a host that is gone. For operators, signed in."""
        self.services["destroy"](self.host(pk), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def host(self, pk: int) -> Host:
        return get_object_or_404(workers.hosts(), pk=pk)

    def done(self, pk: int, **fields: Any) -> Response:
        self.services[self.action](self.host(pk), by=self.request.user, **fields)
        view = next(view for view in self.floor().hosts if view.host.pk == pk)
        return Response(WorkerSerializer(view).data)


class QueueViewSet(InstallationViewSet):
    serializer_class = QueueSerializer

    @extend_schema(responses=QueueSerializer(many=True))
    def list(self, request: Any) -> Response:
        """What waits in every queue, in which order and for what."""
        return Response(QueueSerializer(self.floor().queues, many=True).data)
