"""What the API says about checkpoints and failures of runs."""

from rest_framework import serializers


class CheckpointSerializer(serializers.Serializer):
    """A checkpoint of a run; what is not whole is never gone on from."""

    step = serializers.IntegerField()
    at = serializers.DateTimeField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField(help_text="Of its manifest, which holds the sha256 of every file.")
    is_whole = serializers.BooleanField()
    read_whole = serializers.BooleanField(help_text="Every byte was compared just now; otherwise names and sizes.")
    problem = serializers.CharField(allow_blank=True)


class ChangedSettingsSerializer(serializers.Serializer):
    """Settings of a new run that follow the advice."""

    label = serializers.CharField()  # type: ignore[assignment]
    changes = serializers.DictField()


class FailureSerializer(serializers.Serializer):
    code = serializers.CharField(source="failure.code")
    title = serializers.CharField(source="failure.title")
    advice = serializers.CharField(source="failure.advice")
    retry = serializers.CharField(source="failure.retry", help_text="may help, once mended, or fails again.")
    where = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(child=serializers.IntegerField())
    spent = serializers.DecimalField(source="spent.total", max_digits=14, decimal_places=6)
    kept = serializers.DecimalField(
        source="spent.kept", max_digits=14, decimal_places=6, help_text="Not lost: checkpoints keep it."
    )
    resume_step = serializers.IntegerField(help_text="Where a retry goes on; 0 is the start.")
    remedy = ChangedSettingsSerializer(allow_null=True)


class DegradedSerializer(serializers.Serializer):
    code = serializers.CharField(required=False)
    message = serializers.CharField(required=False)
    since = serializers.DateTimeField(required=False)
    step = serializers.IntegerField(required=False)
