"""The API of base-model versions."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.response import Response

from projects.api.serializers import EmptySerializer, ReasonSerializer, StrictSerializer
from projects.api.views import Idempotent, ProjectViewSet
from training import selectors, services
from training.api import compatibility
from training.api import serializers as shapes
from training.api.durable import checked
from training.models import BaseCheck, BaseCopy, BaseModelVersion


class DutySerializer(serializers.Serializer):
    code = serializers.CharField()
    text = serializers.CharField()


class TermsSerializer(serializers.Serializer):
    """What a licence asks. `known` is false for one that is not in the table of licences: then nothing more is said."""

    licence = serializers.CharField()
    known = serializers.BooleanField()
    title = serializers.CharField()
    url = serializers.CharField(help_text="Where its text is.")
    commercial = serializers.BooleanField(allow_null=True, help_text="Null: not known, or it depends on the use.")
    most_users = serializers.IntegerField(allow_null=True, help_text="Monthly active users beyond which it ends.")
    duties = DutySerializer(many=True)
    own = serializers.CharField(help_text="What people have written down besides.")


class BaseSerializer(serializers.ModelSerializer):
    registered_by = serializers.EmailField(source="registered_by.email")
    progress = shapes.TrainingProgressSerializer()
    licence_terms = TermsSerializer(source="licence_terms.as_dict", help_text="What its licence asks of its users.")

    class Meta:
        model = BaseModelVersion
        fields = [
            "id", "name", "source", "repo_id", "revision", "path", "fingerprint", "parts", "template", "licence",
            "licence_link", "terms", "licence_terms", "end_of_life", "architecture", "parameters", "context_length",
            "vocab_size", "size_bytes", "quantisation", "dtype", "registered_by", "created_at",
            *shapes.JOB_FIELDS,
        ]  # fmt: skip
        read_only_fields = fields


class NewBaseSerializer(StrictSerializer):
    source = serializers.ChoiceField(["local", "hub"])  # type: ignore[assignment]
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    path = serializers.CharField(max_length=250, required=False, allow_blank=True, default="")
    repo_id = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    revision = serializers.CharField(max_length=100, required=False, allow_blank=True, default="")


class BaseChangeSerializer(StrictSerializer):
    licence = serializers.CharField(max_length=100, required=False, allow_blank=True)
    licence_link = serializers.CharField(max_length=500, required=False, allow_blank=True)
    terms = serializers.CharField(max_length=4000, required=False, allow_blank=True, help_text="In your own words.")
    end_of_life = serializers.DateField(required=False, allow_null=True)
    reason = serializers.CharField(max_length=2000, help_text="Where this is known from.")


class CopySerializer(serializers.ModelSerializer):
    """The files of a base on one host, as that last saw them. `wrong` are those that are missing or others."""

    wrong = serializers.ListField(child=serializers.CharField())
    advice = serializers.CharField(help_text="What is wrong and what to do; empty where nothing is.")

    class Meta:
        model = BaseCopy
        fields = ["host", "state", "wrong", "looked_at", "verified_at", "advice"]
        read_only_fields = fields


class CheckSerializer(serializers.ModelSerializer):
    progress = shapes.TrainingProgressSerializer()

    class Meta:
        model = BaseCheck
        fields = ["id", "base", "host", "created_at", *shapes.JOB_FIELDS]
        read_only_fields = fields


class NewCheckSerializer(StrictSerializer):
    host = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")


class BaseViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    lookup_value_converter = "int"
    serializer_class = BaseSerializer
    queryset = BaseModelVersion.objects.none()
    services = {
        "create": services.register_base,
        "partial_update": services.change_base,
        "cancel": services.cancel_base,
        "check": services.check_base,
        "retry": services.retry_base,
        "destroy": services.delete_base,
    }

    @property
    def known_filters(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("other",) if self.action == "compare" else ()

    def get_queryset(self) -> QuerySet[BaseModelVersion]:
        return selectors.bases(self.project)

    @extend_schema(request=NewBaseSerializer, responses={202: BaseSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Register a base model from the models folder or from the hub; it is ready when a worker has hashed it."""
        fields = checked(NewBaseSerializer, request)

        def make() -> Response:
            base = self.services["create"](self.project, by=request.user, **fields)
            return self.shown(base, 202)

        return self.create_once(request, make)

    @extend_schema(request=ReasonSerializer, responses={202: BaseSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Any, **kwargs: Any) -> Response:
        """Stop reading its files. Trying again goes on from what is hashed by then, on the same host."""
        given = checked(ReasonSerializer, request)
        return self.shown(self.services["cancel"](self.get_object(), by=request.user, **given), 202)

    @extend_schema(request=EmptySerializer, responses={202: BaseSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Any, **kwargs: Any) -> Response:
        """Hash (and fetch) again after a failure."""
        checked(EmptySerializer, request)
        return self.shown(self.services["retry"](self.get_object(), by=request.user), 202)

    @extend_schema(request=BaseChangeSerializer, responses=BaseSerializer)
    def partial_update(self, request: Any, **kwargs: Any) -> Response:
        """Write down licence, terms and end of life, with where that is known from; what is left out stays."""
        given = dict(checked(BaseChangeSerializer, request))
        return self.shown(self.services["partial_update"](self.get_object(), by=request.user, **given), 200)

    @extend_schema(responses={200: CopySerializer(many=True)}, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def copies(self, request: Any, **kwargs: Any) -> Response:
        """Where the files lie, host by host, and whether they are still what was registered."""
        return Response(CopySerializer(self.get_object().copies.select_related("base"), many=True).data)

    @extend_schema(request=NewCheckSerializer, responses={202: CheckSerializer})
    @action(detail=True, methods=["post"])
    def check(self, request: Any, **kwargs: Any) -> Response:
        """Have every byte read again, on one host or on whichever takes it; `copies` has the result."""
        given = checked(NewCheckSerializer, request)
        made = self.services["check"](self.get_object(), by=request.user, **given)
        return Response(CheckSerializer(made).data, status=202)

    @extend_schema(parameters=compatibility.OTHER, responses={200: compatibility.VersionComparisonSerializer})
    @action(detail=True, methods=["get"])
    def compare(self, request: Any, **kwargs: Any) -> Response:
        """This version beside another one, field by field."""
        return Response(compatibility.compared(self.get_object(), request.query_params.get("other", "")))

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Take a base off the list; refused while anything descends from it."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def shown(self, base: BaseModelVersion, code: int) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=base.pk)).data, status=code)
