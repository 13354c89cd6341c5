"""Base classes of the API's serializers."""

from typing import Any

from rest_framework import serializers


class Strict:
    """Unknown and read-only fields in the input are refused by name: nothing is silently ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) or hasattr(data, "keys"):
            writable = {name for name, field in self.fields.items() if not field.read_only}  # type: ignore[attr-defined]
            for name in data:
                if name not in writable and name != "csrfmiddlewaretoken":
                    raise serializers.ValidationError(
                        {name: serializers.ErrorDetail("Unknown field.", "unknown_field")}
                    )
        return super().to_internal_value(data)  # type: ignore[misc]


class StrictSerializer(Strict, serializers.Serializer):
    pass


class StrictModelSerializer(Strict, serializers.ModelSerializer):
    pass


class ErrorSerializer(serializers.Serializer):
    """The shape of every refusal."""

    code = serializers.CharField()
    message = serializers.CharField()
    field = serializers.CharField(required=False)


class EmptySerializer(StrictSerializer):
    """A command without input."""


class ReasonSerializer(StrictSerializer):
    reason = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)
