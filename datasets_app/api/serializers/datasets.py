"""Datasets over the API."""

from rest_framework import serializers

from datasets_app.domain.purposes import Purpose
from datasets_app.models import Dataset
from projects.api.serializers import StrictModelSerializer


class DatasetSerializer(StrictModelSerializer):
    name = serializers.CharField(max_length=120)
    purpose = serializers.ChoiceField(choices=[p.value for p in Purpose])
    created_by = serializers.EmailField(source="created_by.email", read_only=True)

    class Meta:
        model = Dataset
        fields = ["id", "name", "purpose", "description", "created_by", "created_at"]
        read_only_fields = ["id", "created_at"]
