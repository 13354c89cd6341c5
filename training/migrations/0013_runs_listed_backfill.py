from django.db import migrations
from django.db.models import OuterRef, Subquery, Sum

LABEL = "training.run"


def fill(apps, schema_editor):
    """What lists show of runs that were there before it was kept on their rows."""
    Run, MetricChunk = apps.get_model("training", "Run"), apps.get_model("training", "MetricChunk")
    LedgerEntry, Attempt = apps.get_model("projects", "LedgerEntry"), apps.get_model("projects", "Attempt")
    lines = LedgerEntry.objects.filter(subject_kind=LABEL, subject_id=OuterRef("pk")).order_by()
    booked = lines.values("subject_id").annotate(sum=Sum("amount")).values("sum")
    # The pace of what succeeded is known; of the rest it is that of the last chunk of steps.
    paces = MetricChunk.objects.filter(run=OuterRef("pk"), name="tokens_per_second").order_by("-first_step")
    Run.objects.update(tokens_per_second=Subquery(paces.values("mean")[:1]), cost=Subquery(booked))
    seconds = {}
    ended = Attempt.objects.filter(job_label=LABEL, ended_at__isnull=False)
    for pk, began, end in ended.values_list("job_id", "started_at", "ended_at").iterator():
        seconds[pk] = seconds.get(pk, 0.0) + (end - began).total_seconds()
    for pk, worked in seconds.items():
        Run.objects.filter(pk=pk).update(seconds=worked)
    for pk, measured in Run.objects.filter(state="succeeded").values_list("pk", "measured").iterator():
        if measured.get("tokens_per_second") is not None:
            Run.objects.filter(pk=pk).update(tokens_per_second=measured["tokens_per_second"])


class Migration(migrations.Migration):
    dependencies = [
        ("training", "0012_runs_listed"),
        ("projects", "0010_invariant_checks"),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
