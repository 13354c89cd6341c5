"""What runs tell of themselves: metrics in chunks of a thousand points with their extremes, and answers to prompts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Max, Q

from training.domain import series
from training.domain.series import CHUNK, Extremes, Series

if TYPE_CHECKING:
    from training.models.run import Run

NAME_LENGTH = 40
WRITTEN = 50  # chunks in one statement


class MetricChunks(models.QuerySet["MetricChunk"]):
    def append(self, run: "Run", points: Mapping[str, Series]) -> None:
        """Add points to the ends of a run's curves; points from the same step on that were there before are replaced.

        Whoever calls holds the run's fence in the same transaction, so there is one writer.
        """
        points = {name[:NAME_LENGTH]: new for name, new in points.items() if len(new)}
        heads = self._open(run, points)
        behind = {name: new for name, new in points.items() if name not in heads}
        ends = {name: chunk.last_step for name, chunk in heads.items()} | self._ends(run, behind)
        said_again = [name for name, new in points.items() if ends.get(name, -1) >= int(new.steps[0])]
        for name in said_again:
            self.cut(run, int(points[name].steps[0]) - 1, name)
        if said_again:
            heads = self._open(run, points)
        rows = []
        for name, new in points.items():
            whole = heads[name].series() + new if name in heads else new
            rows += [MetricChunk.of(run, name, part) for part in whole.chunks()]
        self._write(rows)

    def cut(self, run: "Run", after: int, name: str = "") -> None:
        """Forget what a run said of steps beyond `after`, in one of its curves or in all."""
        mine = self.filter(run=run, **({"name": name} if name else {}))
        mine.filter(first_step__gt=after).delete()
        rows = [
            MetricChunk.of(run, chunk.name, chunk.series().between(0, after))
            for chunk in mine.filter(last_step__gt=after)
        ]
        self._write(rows)

    def _open(self, run: "Run", names: Mapping[str, Series]) -> "dict[str, MetricChunk]":
        """The last chunk of each curve, where it has room."""
        return {chunk.name: chunk for chunk in self.filter(run=run, name__in=list(names), count__lt=CHUNK)}

    def _ends(self, run: "Run", names: Mapping[str, Series]) -> dict[str, int]:
        if not names:
            return {}
        found = self.filter(run=run, name__in=list(names)).order_by()
        return dict(found.values_list("name").annotate(Max("last_step")))

    def _write(self, rows: "list[MetricChunk]") -> None:
        changed = ["last_step", "count", "low_step", "low", "high_step", "high", "mean", "data"]
        MetricChunk.objects.bulk_create(
            rows,
            batch_size=WRITTEN,
            update_conflicts=True,
            unique_fields=["run", "name", "first_step"],
            update_fields=changed,
        )


class MetricChunk(models.Model):
    """Up to a thousand points of one curve; only the last chunk of a curve has fewer."""

    run = models.ForeignKey("training.Run", models.CASCADE, related_name="metrics")
    name = models.CharField(max_length=NAME_LENGTH)
    first_step = models.BigIntegerField()
    last_step = models.BigIntegerField()
    count = models.PositiveIntegerField()
    low_step = models.BigIntegerField(null=True)
    low = models.FloatField(null=True, help_text="The lowest finite value.")
    high_step = models.BigIntegerField(null=True)
    high = models.FloatField(null=True, help_text="The highest finite value.")
    mean = models.FloatField(null=True, help_text="Of the finite values.")
    data = models.BinaryField(help_text="See training.domain.series.pack.")

    objects = MetricChunks.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "name", "first_step"], name="one_chunk_from_each_step"),
            models.CheckConstraint(
                name="a_chunk_is_in_order",
                condition=Q(first_step__gte=0, last_step__gte=models.F("first_step"), count__gte=1, count__lte=CHUNK),
            ),
        ]
        indexes = [
            models.Index(fields=["run"], condition=Q(count__lt=CHUNK), name="metric_chunks_with_room"),
        ]

    def __str__(self) -> str:
        return f"{self.name}@{self.first_step}-{self.last_step}"

    @classmethod
    def of(cls, run: "Run", name: str, points: Series) -> "MetricChunk":
        steps, ends = points.steps, Extremes.of(points)
        return cls(
            run=run,
            name=name,
            first_step=int(steps[0]),
            last_step=int(steps[-1]),
            count=len(points),
            low_step=ends.low_step,
            low=ends.low,
            high_step=ends.high_step,
            high=ends.high,
            mean=points.mean(),
            data=series.pack(points),
        )

    def series(self) -> Series:
        return series.unpack(self.data, self.count)


class RunSample(models.Model):
    """What the model of a run answered to one prompt at one step; step 0 is before the first."""

    run = models.ForeignKey("training.Run", models.CASCADE, related_name="samples")
    step = models.PositiveIntegerField()
    row = models.PositiveBigIntegerField(help_text="The row of the dataset version that the prompt is from.")
    prompt = models.TextField()
    expected = models.TextField(blank=True, help_text="What the data says is the answer.")
    answer = models.TextField(blank=True)
    whole = models.BooleanField(default=False, help_text="The model ended the answer by itself.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "step", "row"], name="one_answer_per_prompt_and_step"),
        ]

    def __str__(self) -> str:
        return f"row {self.row}@{self.step}"
