"""Specs over the API: a run written for another tool, and a spec of one read."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from projects.api.serializers import StrictSerializer
from projects.api.views import ProjectViewSet
from training import selectors, services
from training.api.durable import checked
from training.domain import dialects
from training.domain.dialects.notes import Kind
from training.selectors import Understood

TOOLS = [(one.name, one.label) for one in dialects.DIALECTS.values()]


class BatchSerializer(serializers.Serializer):
    """Rows between two steps of the optimiser: per device × accumulation × GPUs."""

    per_device = serializers.IntegerField()
    accumulation = serializers.IntegerField()
    gpus = serializers.IntegerField()
    rows = serializers.IntegerField()
    text = serializers.CharField(source="sentence")


class LostSerializer(serializers.Serializer):
    """What the tool has no word for, and what follows."""

    knob = serializers.CharField()
    text = serializers.CharField()


class WrittenSpecSerializer(serializers.Serializer):
    dialect = serializers.ChoiceField(TOOLS)
    file_name = serializers.CharField()
    command = serializers.CharField(help_text="How the tool is started with the file.")
    text = serializers.CharField(help_text="The YAML.")
    batch = BatchSerializer()
    lost = LostSerializer(many=True)


class SpecTextSerializer(StrictSerializer):
    text = serializers.CharField(max_length=dialects.MOST_BYTES, trim_whitespace=False)
    tool = serializers.ChoiceField(TOOLS, required=False, allow_blank=True, default="",
                                   help_text="Left out: found out from its keys.")  # fmt: skip
    gpus = serializers.IntegerField(required=False, default=1, min_value=1, max_value=1024,
                                    help_text="On how many it ran; more become accumulated batches.")  # fmt: skip
    without = serializers.ListField(child=serializers.CharField(max_length=200), required=False, default=list,
                                    max_length=200, help_text="Keys that you decide to leave out.")  # fmt: skip
    base = serializers.CharField(required=False, default="", allow_blank=True, max_length=300,
                                 help_text="Name of a base that counts instead of the spec's.")  # fmt: skip
    data = serializers.CharField(  # type: ignore[assignment]
        required=False, default="", allow_blank=True, max_length=300,
                                 help_text="A dataset or a version (“Tickets v3”) instead.")  # fmt: skip
    parent = serializers.CharField(  # type: ignore[assignment]
        required=False, default="", allow_blank=True, max_length=300,
                                   help_text="Name of an adapter to go on from.")  # fmt: skip

    validation = serializers.CharField(required=False, default="", allow_blank=True, max_length=300,
                                       help_text="Validation data instead of the spec's.")  # fmt: skip


class NoteSerializer(serializers.Serializer):
    """One setting of the spec and what it means here."""

    kind = serializers.ChoiceField([kind.value for kind in Kind])
    key = serializers.CharField(allow_blank=True, help_text="Empty: what the tool takes where a file says nothing.")
    value = serializers.CharField(allow_blank=True)
    text = serializers.CharField()
    knob = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True, help_text="Why it is refused.")
    may_be_left_out = serializers.BooleanField()


class SpecPartSerializer(serializers.Serializer):
    """The base, data or adapter that a spec names; `id` is null when this project has none of that name."""

    part = serializers.ChoiceField(["base", "dataset_version", "validation_version", "parent"], source="name")
    wanted = serializers.CharField()
    id = serializers.IntegerField(source="pk", allow_null=True)
    text = serializers.CharField()


class ReadSpecSerializer(serializers.Serializer):
    """`recipe` is null while anything is refused; with it and the parts a run can be made."""

    dialect = serializers.ChoiceField(TOOLS, source="reading.dialect")
    name = serializers.CharField(source="reading.name", allow_blank=True)
    recipe = serializers.SerializerMethodField()
    batch = BatchSerializer(source="reading.batch", allow_null=True)
    notes = NoteSerializer(source="reading.notes", many=True)
    removable = serializers.ListField(
        child=serializers.CharField(), source="reading.removable",
        help_text="Keys that, sent as `without`, let it be read; empty when that is not enough.",
    )  # fmt: skip
    parts = SpecPartSerializer(many=True)

    def get_recipe(self, understood: Understood) -> dict[str, Any] | None:
        if understood.reading.refused:
            return None
        found = understood.reading.recipe
        return found | {"target_modules": list(found["target_modules"])}


class Writable:
    """Mixed into the view set of runs."""

    get_object: Any

    @extend_schema(
        parameters=[OpenApiParameter("as", enum=[name for name, _ in TOOLS], required=True)],
        responses={200: WrittenSpecSerializer},
    )
    @action(detail=True, methods=["get"])
    def export(self, request: Any, **kwargs: Any) -> Response:
        """A run or a draft as the spec of another tool, with what is lost on the way."""
        written = selectors.written(self.get_object(), request.query_params.get("as", ""))
        return Response(WrittenSpecSerializer(written).data)


class SpecViewSet(ProjectViewSet):
    serializer_class = ReadSpecSerializer
    services = {"create": services.read_spec}

    @extend_schema(request=SpecTextSerializer, responses={200: ReadSpecSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Read a spec of TRL, Axolotl, LLaMA-Factory or Luthier. Nothing is made; all refusals are named."""
        fields = checked(SpecTextSerializer, request)
        understood = self.services["create"](self.project, by=request.user, **fields)
        return Response(ReadSpecSerializer(understood).data)
