"""The API of imported adapters: the same services as the pages."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from datasets_app.models import DatasetVersion
from projects.api.parsers import StrictJSONParser
from projects.api.serializers import EmptySerializer, StrictSerializer
from projects.api.views import Idempotent, ProjectViewSet
from training import selectors, services
from training.api.serializers import JOB_FIELDS, AdapterFindingSerializer, TrainingProgressSerializer
from training.api.views import checked, one_of
from training.domain.matching import PROOFS
from training.models import AdapterImport


class ImportedFileSerializer(serializers.Serializer):
    name = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField()


class AdapterImportSerializer(serializers.ModelSerializer):
    """`findings` lists all that is wrong with the files, whether they were refused for it or not."""

    imported_by = serializers.EmailField(source="imported_by.email")
    adapter = serializers.IntegerField(source="adapter.pk", allow_null=True, default=None)
    files = ImportedFileSerializer(many=True)
    findings = AdapterFindingSerializer(many=True)
    proof = serializers.ChoiceField(PROOFS, allow_blank=True)
    declared = serializers.DictField()
    progress = TrainingProgressSerializer()

    class Meta:
        model = AdapterImport
        fields = [
            "id", "name", "source", "files", "base", "dataset_version", "proof", "declared", "findings", "adapter",
            "imported_by", "created_at", *JOB_FIELDS,
        ]  # fmt: skip
        read_only_fields = fields


class NewImportSerializer(StrictSerializer):
    """One ZIP archive, or the config and the weights by themselves, with a card if there is one."""

    name = serializers.CharField(max_length=120)
    source = serializers.CharField(max_length=500, help_text="Where it comes from.")  # type: ignore[assignment]
    archive = serializers.FileField(required=False, help_text="A ZIP archive of the files.")
    config = serializers.FileField(required=False, help_text="adapter_config.json")
    weights = serializers.FileField(required=False, help_text="adapter_model.safetensors")
    card = serializers.FileField(required=False, help_text="README.md")
    base = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=2**63 - 1,
        help_text="Only when the config does not say it; such a base stays unproven.",
    )  # fmt: skip
    dataset_version = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=2**63 - 1,
        help_text="What it was trained on, if that is a dataset here.",
    )  # fmt: skip


class AdapterImportViewSet(Idempotent, ListModelMixin, RetrieveModelMixin, ProjectViewSet):
    lookup_value_converter = "int"
    serializer_class = AdapterImportSerializer
    parser_classes = [MultiPartParser, StrictJSONParser]
    queryset = AdapterImport.objects.none()
    services = {
        "create": services.import_adapter,
        "retry": services.retry_import,
        "destroy": services.delete_import,
    }

    def get_queryset(self) -> QuerySet[AdapterImport]:
        return selectors.imports(self.project)

    @extend_schema(request={"multipart/form-data": NewImportSerializer}, responses={202: AdapterImportSerializer})
    def create(self, request: Any, **kwargs: Any) -> Response:
        """Bring an adapter that was trained elsewhere. It is read in the background; then ask for the import again."""
        fields = checked(NewImportSerializer, request)
        files = [fields[name] for name in ("archive", "config", "weights", "card") if name in fields]
        versions = DatasetVersion.objects.filter(dataset__project=self.project)

        def make() -> Response:
            row = self.services["create"](
                self.project,
                by=request.user,
                name=fields["name"],
                source=fields["source"],
                files=files,
                base=one_of(self.project.bases, fields["base"], "base"),
                dataset_version=one_of(versions, fields["dataset_version"], "dataset_version"),
            )
            return self.shown(row)

        return self.create_once(request, make)

    @extend_schema(request=EmptySerializer, responses={202: AdapterImportSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Any, **kwargs: Any) -> Response:
        """Read the same files again, such as after their base has been registered."""
        checked(EmptySerializer, request)
        return self.shown(self.services["retry"](self.get_object(), by=request.user))

    @extend_schema(responses={204: None})
    def destroy(self, request: Any, **kwargs: Any) -> Response:
        """Take an import that came to nothing off the list, with its files."""
        self.services["destroy"](self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def shown(self, row: AdapterImport) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=row.pk)).data, status=202)
