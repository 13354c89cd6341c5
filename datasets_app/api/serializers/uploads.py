"""Uploads, files on their way, and bad rows over the API."""

from typing import Any

from rest_framework import serializers

from datasets_app.domain.fixes import FIXES
from datasets_app.domain.formats.base import FORMAT_LABELS
from datasets_app.models import BadRow, Incoming, Part, Upload
from projects.api.serializers import StrictModelSerializer, StrictSerializer

FORMATS = [(fmt.value, label) for fmt, (label, _) in FORMAT_LABELS.items()]
HOLD = "Wait with the version while rows are kept aside, so that mended ones can join it."
MAPPING = (
    "The file's names in our words: {“columns”: {theirs: ours}, “turns”: {theirs: ours}, “roles”: {theirs: ours}}; "
    "an empty name of ours leaves a column out. “fixes”: names of fixes for bad rows, applied as the file is read."
)
PROVENANCE = "Said once for all rows: origin, teacher, licence, depth, contributor."
MENDS = "Number of an upload with a version in the making: the rows of this file join it."


class UploadSerializer(StrictModelSerializer):
    uploaded_by = serializers.EmailField(source="uploaded_by.email", read_only=True)
    bad_codes = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    samples = serializers.ListField(child=serializers.DictField(), read_only=True, help_text="The first three rows.")
    progress = serializers.DictField(read_only=True)
    mapping = serializers.DictField(read_only=True)
    provenance = serializers.DictField(read_only=True)
    head = serializers.DictField(read_only=True, help_text="The file's own columns with examples, for a mapping.")
    in_the_making = serializers.BooleanField(
        source="is_in_the_making", read_only=True, help_text="Good rows wait for mended ones; make the version of them."
    )

    class Meta:
        model = Upload
        fields = [
            "id", "dataset", "file_name", "size", "sha256", "state", "progress", "forced_format", "mapping",
            "provenance", "hold", "mends", "in_the_making", "detected_format", "file_type", "rows_good", "rows_bad",
            "bad_codes", "samples", "head", "version", "error_code", "error_message", "reread_of", "uploaded_by",
            "created_at", "finished_at", "forgotten_at",
        ]  # fmt: skip
        read_only_fields = fields


class ReadingSerializer(StrictSerializer):
    """How a file is to be read; everything may be left out."""

    format = serializers.ChoiceField(choices=FORMATS, required=False, help_text="Left out: detected.")
    mapping = serializers.JSONField(required=False, help_text=MAPPING)
    provenance = serializers.JSONField(required=False, help_text=PROVENANCE)
    hold = serializers.BooleanField(required=False, default=False, help_text=HOLD)
    mends = serializers.IntegerField(required=False, min_value=1, max_value=2**62, help_text=MENDS)

    def options(self) -> dict[str, Any]:
        """What the services call these."""
        given = self.validated_data
        return {
            "forced_format": given.get("format", ""),
            **{name: given[name] for name in ("mapping", "provenance", "hold", "mends") if name in given},
        }


class NewUploadSerializer(ReadingSerializer):
    dataset = serializers.IntegerField(min_value=1, max_value=2**62)
    file = serializers.FileField(allow_empty_file=True, max_length=None)


class NewIncomingSerializer(ReadingSerializer):
    dataset = serializers.IntegerField(min_value=1, max_value=2**62)
    file_name = serializers.CharField(max_length=5000)
    size = serializers.IntegerField(min_value=0, max_value=2**62, help_text="Of the whole file, in bytes.")
    sha256 = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=64, help_text="Of the whole file; checked at the end."
    )


class PartSerializer(serializers.ModelSerializer):
    class Meta:
        model = Part
        fields = ["number", "size", "sha256"]
        read_only_fields = fields


class IncomingSerializer(serializers.ModelSerializer):
    parts = PartSerializer(many=True, read_only=True, help_text="Those that are here; send the others.")
    parts_expected = serializers.IntegerField(read_only=True)
    options = serializers.DictField(read_only=True)

    class Meta:
        model = Incoming
        fields = [
            "id", "dataset", "file_name", "size", "sha256", "part_size", "parts_expected", "parts", "options", "state",
            "upload", "created_at", "touched_at",
        ]  # fmt: skip
        read_only_fields = fields


class RereadSerializer(StrictSerializer):
    format = serializers.ChoiceField(choices=FORMATS, required=False, help_text="Left out: detected.")
    mapping = serializers.JSONField(required=False, help_text=MAPPING)


class MendSerializer(StrictSerializer):
    fixes = serializers.ListField(
        child=serializers.ChoiceField(choices=[(fix.name, fix.title) for fix in FIXES.values()]), max_length=50
    )


class BadRowSerializer(serializers.ModelSerializer):
    class Meta:
        model = BadRow
        fields = ["id", "line", "column", "field", "code", "found", "expected", "fix", "mended_by"]
        read_only_fields = fields
