"""Uploads and their bad rows over the API."""

from rest_framework import serializers

from datasets_app.domain.formats.base import FORMAT_LABELS
from datasets_app.models import BadRow, Upload
from projects.api.serializers import StrictModelSerializer, StrictSerializer

FORMATS = [(fmt.value, label) for fmt, (label, _) in FORMAT_LABELS.items()]


class UploadSerializer(StrictModelSerializer):
    uploaded_by = serializers.EmailField(source="uploaded_by.email", read_only=True)
    bad_codes = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    samples = serializers.ListField(child=serializers.DictField(), read_only=True, help_text="The first three rows.")
    progress = serializers.DictField(read_only=True)

    class Meta:
        model = Upload
        fields = [
            "id", "dataset", "file_name", "size", "sha256", "state", "progress", "forced_format", "detected_format",
            "file_type", "rows_good", "rows_bad", "bad_codes", "samples", "version", "error_code", "error_message",
            "reread_of", "uploaded_by", "created_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class NewUploadSerializer(StrictSerializer):
    dataset = serializers.IntegerField(min_value=1)
    file = serializers.FileField(allow_empty_file=True, max_length=None)
    format = serializers.ChoiceField(choices=FORMATS, required=False, help_text="Left out: detected.")


class RereadSerializer(StrictSerializer):
    format = serializers.ChoiceField(choices=FORMATS, required=False, help_text="Left out: detected.")


class BadRowSerializer(serializers.ModelSerializer):
    class Meta:
        model = BadRow
        fields = ["id", "line", "field", "code", "found", "expected"]
        read_only_fields = fields
