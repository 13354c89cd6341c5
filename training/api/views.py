"""The API of bases, runs and adapters: the same services as the pages."""

from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse
from django.utils.text import slugify
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.response import Response

from datasets_app.models import DatasetVersion
from projects.api.serializers import ReasonSerializer
from projects.api.views import Idempotent, ProjectViewSet
from projects.domain.errors import Invalid, Refused
from projects.domain.turns import Priority
from training import archives, pages, selectors, services
from training.api import comparing, compatibility, listing
from training.api import serializers as shapes
from training.api.comparing import Comparing
from training.api.curves import Curves
from training.api.derived import Described
from training.api.durable import Durable, checked
from training.api.retraining import Retrains
from training.api.specs import Writable
from training.domain.listing import read as read_listing
from training.models import Adapter, Run


def one_of(queryset: Any, pk: int | None, field: str) -> Any:
    """A row of this project by its number, or the refusal that names the field."""
    found = queryset.filter(pk=pk).first() if pk else None
    if pk and found is None:
        raise Invalid(f"This project has no {field.replace('_', ' ')} {pk}.", code="not_in_project", field=field)
    return found


class RunViewSet(Comparing, Curves, Writable, Durable, Idempotent, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    lookup_value_converter = "int"
    serializer_class = shapes.RunSerializer
    queryset = Run.objects.none()
    known_filters = (*listing.KNOWN, *comparing.KNOWN, "first", "last", "points", "as")
    pagination_class = listing.RunPages
    services = {
        "create": services.create_run,
        "start": services.start_run,
        "cancel": services.cancel_run,
        "pause": services.pause_run,
        "resume": services.resume_run,
        "retry": services.retry_run,
        "priority": services.set_priority,
        "destroy": services.delete_run,
    }

    def get_queryset(self) -> QuerySet[Run]:
        if self.action == "metrics":
            return self.project.runs.all()  # a chart asks every other second, and for nothing else of a run
        found = selectors.runs(self.project)
        if self.action != "list":
            return found
        self.listing = read_listing(self.request.query_params.dict())
        return found.filter(pk__in=selectors.matching(self.project, self.listing).values("pk"))

    @extend_schema(parameters=listing.PARAMETERS)
    def list(self, request: Any, **kwargs: Any) -> Response:
        """Runs of the project, the newest first unless another order is asked for."""
        return super().list(request, **kwargs)

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset)
        pages.tell_reasons(page or [])
        return page

    @extend_schema(responses={200: shapes.RunDetailSerializer})
    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        """One run with its frozen spec, projection and measurements."""
        return Response(shapes.RunDetailSerializer(self.get_object()).data)

    @extend_schema(request=shapes.NewRunSerializer, responses={201: shapes.RunDetailSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Make a draft. Nothing is spent before it is started; its data is counted in tokens in the meantime."""
        fields = checked(shapes.NewRunSerializer, request)

        def make() -> Response:
            versions = DatasetVersion.objects.filter(dataset__project=self.project)
            run = self.services["create"](
                self.project,
                by=request.user,
                name=fields["name"],
                base=one_of(self.project.bases, fields["base"], "base"),
                version=one_of(versions, fields["dataset_version"], "dataset_version"),
                validation=one_of(versions, fields["validation_version"], "validation_version"),
                parent=one_of(self.project.adapters, fields["parent"], "parent"),
                recipe=fields.get("recipe", {}),
                base_decision_reason=fields["base_decision_reason"],
            )
            return self.shown(run, 201)

        return self.create_once(request, make)

    @extend_schema(request=shapes.StartRunSerializer, responses={202: shapes.RunDetailSerializer})
    @action(detail=True, methods=["post"])
    def start(self, request: Any, **kwargs: Any) -> Response:
        """Freeze the spec and queue the run. 409 `tokens_not_counted` means: try again in a moment.

        409 `over_budget` means: say in `budget_reason` why it should start, and it is `held` until an owner says yes.
        """
        fields = checked(shapes.StartRunSerializer, request)
        return self.shown(self.services["start"](self.get_object(), by=request.user, **fields), 202)

    @extend_schema(request=ReasonSerializer, responses={202: shapes.RunDetailSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Any, **kwargs: Any) -> Response:
        """Stop a run: at once while it waits, within seconds while it runs."""
        fields = checked(ReasonSerializer, request)
        return self.shown(self.services["cancel"](self.get_object(), by=request.user, **fields), 202)

    @extend_schema(request=shapes.RetryRunSerializer, responses={202: shapes.RunDetailSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Any, **kwargs: Any) -> Response:
        """A new attempt of the same spec, from its newest whole checkpoint or `start_at`. Its cost is held again."""
        fields = checked(shapes.RetryRunSerializer, request)
        return self.shown(self.services["retry"](self.get_object(), by=request.user, **fields), 202)

    @extend_schema(request=shapes.PrioritySerializer, responses={200: shapes.RunDetailSerializer})
    @action(detail=True, methods=["post"])
    def priority(self, request: Any, **kwargs: Any) -> Response:
        """Let a run that waits go earlier or later."""
        chosen = Priority[checked(shapes.PrioritySerializer, request)["priority"].upper()]
        return self.shown(self.services["priority"](self.get_object(), by=request.user, priority=chosen), 200)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Delete a run that made no adapter."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses={200: shapes.LogSerializer})
    @action(detail=True, methods=["get"])
    def log(self, request: Any, **kwargs: Any) -> Response:
        """The end of the newest attempt's log."""
        return Response(shapes.LogSerializer({"text": selectors.log_tail(self.get_object())}).data)

    @extend_schema(responses={200: shapes.ProjectionSerializer})
    @action(detail=True, methods=["get"])
    def projection(self, request: Any, **kwargs: Any) -> Response:
        """What the run is expected to take: frozen at its start, worked out anew for a draft."""
        run = self.get_object()
        if run.projection:
            return Response(shapes.ProjectionSerializer(run.projection).data)
        profile = selectors.profile_for(run.dataset_version, run.base)
        if profile is None or not profile.is_ready:
            raise Refused("The data is still being counted in tokens.", code="tokens_not_counted")
        held_out = selectors.held_out_profile(run)
        if run.validation_version is not None and (held_out is None or not held_out.is_ready):
            raise Refused("The validation data is still being counted in tokens.", code="tokens_not_counted")
        projected = selectors.projection(self.project, run.base, profile, run.read_recipe, held_out=held_out)
        return Response(shapes.ProjectionSerializer(projected.as_dict()).data)

    def shown(self, run: Run, code: int) -> Response:
        return Response(shapes.RunDetailSerializer(self.get_queryset().get(pk=run.pk)).data, status=code)


class AdapterViewSet(Described, Retrains, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    lookup_value_converter = "int"
    serializer_class = shapes.AdapterSerializer
    queryset = Adapter.objects.none()
    services = {"destroy": services.delete_adapter, **Retrains.services}

    def get_queryset(self) -> QuerySet[Adapter]:
        return selectors.adapters(self.project)

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Delete an adapter and its files; refused while anything descends from it."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses={200: compatibility.EffectProofSerializer(many=True)}, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def proofs(self, request: Any, **kwargs: Any) -> Response:
        """What was stored of its effect: by its run, or by the first load in another kind of numbers."""
        return Response(compatibility.EffectProofSerializer(selectors.proofs(self.get_object()), many=True).data)

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def download(self, request: Any, **kwargs: Any) -> FileResponse:
        """The adapter as a zip, every file checked against its sha256 first."""
        adapter = self.get_object()
        name = slugify(adapter.name) or f"adapter-{adapter.pk}"
        folder = selectors.adapter_path(adapter)
        return FileResponse(archives.zipped(folder, name), as_attachment=True, filename=f"{name}.zip")
