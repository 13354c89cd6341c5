from django.db import migrations

from training.domain import series
from training.domain.series import Extremes, Series


def to_chunks(apps, schema_editor):
    """Every point goes into a chunk; the time of each becomes a curve of its own, as it is for new runs."""
    Run, Point = apps.get_model("training", "Run"), apps.get_model("training", "MetricPoint")
    Chunk = apps.get_model("training", "MetricChunk")
    for run in Run.objects.filter(pk__in=Point.objects.values("run_id")).only("pk").iterator():
        curves, clock = {}, {}
        for name, step, value, seconds in (
            Point.objects.filter(run_id=run.pk).order_by("step").values_list("name", "step", "value", "seconds")
        ):
            curves.setdefault(name, []).append((step, value))
            clock[step] = seconds
        curves.setdefault("seconds", sorted(clock.items()))
        Chunk.objects.bulk_create(
            chunk(Chunk, run.pk, name, part)
            for name, points in curves.items()
            for part in Series.of([step for step, _ in points], [value for _, value in points]).chunks()
        )
        if "loss" in curves:
            Run.objects.filter(pk=run.pk).update(last_loss=curves["loss"][-1][1])


def chunk(Chunk, run, name, part):
    ends = Extremes.of(part)
    return Chunk(
        run_id=run,
        name=name,
        first_step=int(part.steps[0]),
        last_step=int(part.steps[-1]),
        count=len(part),
        low_step=ends.low_step,
        low=ends.low,
        high_step=ends.high_step,
        high=ends.high,
        mean=part.mean(),
        data=series.pack(part),
    )


def to_points(apps, schema_editor):
    Point, Chunk = apps.get_model("training", "MetricPoint"), apps.get_model("training", "MetricChunk")
    for one in Chunk.objects.order_by("pk").iterator():
        steps, values = series.unpack(one.data, one.count).lists()
        Point.objects.bulk_create(
            Point(run_id=one.run_id, name=one.name, step=step, value=value)
            for step, value in zip(steps, values, strict=True)
        )


class Migration(migrations.Migration):
    dependencies = [("training", "0008_metric_chunks")]
    operations = [migrations.RunPython(to_chunks, to_points)]
