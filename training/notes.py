"""What the row of a run learns from what its engine says, every write under the fence of the attempt."""

import math
from typing import Any

from django.db import transaction
from django.utils import timezone

from projects import faults, leases
from training.domain import kept
from training.domain.series import Series
from training.models import MetricChunk, Run, RunSample

Event = dict[str, Any]
WHERE = ("step", "rows", "longest_row", "longest_tokens", "batch_rows", "batch_tokens", "card", "loading")
MOST_SAMPLES, MOST_TEXT = 8, 4000
# Metrics whose newest value stands on the row itself, for lists.
LISTED = {"loss": "last_loss", "tokens_per_second": "tokens_per_second"}
# Trouble that the run lives with, and that is over when a checkpoint is saved.
PASSING = {"disk_full", "disk_error"}


def note_run(run: Run, event: Event) -> None:
    """A worker that was given up for dead writes nothing more."""
    found = _NOTES.get(event["event"])
    if found is not None:
        found(run, event)


def _started(run: Run, event: Event) -> None:
    begun_at = int(event.get("resumed_from") or 0)
    refused = event.get("refused") or {}
    left = [one for one in run.checkpoints if one["step"] <= begun_at or str(one["step"]) in refused]
    with transaction.atomic():
        leases.fenced_update(
            run,
            device=str(event.get("device", ""))[:40],
            device_name=str(event.get("device_name", ""))[:120],
            total_steps=int(event.get("total") or 0),
            step=begun_at,
            checkpoint_step=begun_at,
            checkpoints=[one | {"problem": str(refused.get(str(one["step"]), ""))[:300]} for one in left],
            saves=kept.resumed(run.saves, begun_at),
            start_at=None,
            degraded={},
            failure={},
            report={name: told for name, told in run.report.items() if name != "warning"},  # of an earlier attempt
        )
        # What the lost attempt did beyond its checkpoint is done again, so its curves end there.
        MetricChunk.objects.cut(run, begun_at)
        run.samples.filter(step__gt=begun_at).delete()
    faults.point("run.start_noted")


def _data(run: Run, event: Event) -> None:
    leases.fenced_update(run, report=run.report | {key: event[key] for key in event if key != "event"})
    faults.point("run.data_noted")


def _pace(run: Run, event: Event) -> None:
    told = {key: event[key] for key in event if key != "event"}
    leases.fenced_update(run, report=run.report | {"pace": told})


def _stop_time(run: Run, event: Event) -> None:
    given = event.get("grace")
    leases.fenced_update(run, stop_seconds=float(event["stop_seconds"]), grace_seconds=float(given) if given else None)


def _warning(run: Run, event: Event) -> None:
    code, message = str(event.get("code", ""))[:60], str(event.get("message", ""))[:500]
    if code not in PASSING:
        leases.fenced_update(run, report=run.report | {"warning": message})
    elif run.degraded.get("code") != code:
        since = timezone.now().isoformat()
        told = {"code": code, "message": message, "since": since, "step": int(event.get("step") or 0)}
        leases.fenced_update(run, degraded=told)


def _samples(run: Run, event: Event) -> None:
    """Answers of one step; said again by a later attempt, they replace what was said."""
    step = int(event["step"])
    texts = ("prompt", "expected", "answer")
    told = [
        RunSample(
            run=run,
            step=step,
            row=int(one["row"]),
            whole=bool(one["whole"]),
            **{name: _clean(one[name]) for name in texts},
        )
        for one in event["samples"][:MOST_SAMPLES]
    ]
    with transaction.atomic():
        leases.fenced_update(run, fence=run.fence)
        run.samples.filter(step=step).delete()
        RunSample.objects.bulk_create(told)
    faults.point("run.samples_noted")


def _clean(text: Any) -> str:
    """PostgreSQL takes no NUL, and no encoding half a character."""
    return str(text)[:MOST_TEXT].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _failed(run: Run, event: Event) -> None:
    where = event.get("where") or {}
    leases.fenced_update(run, failure={name: where[name] for name in WHERE if name in where})


def _metrics(run: Run, event: Event) -> None:
    _note_metrics(run, event)
    faults.point("run.metrics_noted")


@transaction.atomic
def _note_metrics(run: Run, event: Event) -> None:
    step, said = int(event["step"]), _said(run, event)
    changes: dict[str, Any] = {"step": step, "tokens_seen": int(event.get("tokens") or run.tokens_seen)}
    changes |= {column: _finite(said[name].values[-1]) for name, column in LISTED.items() if name in said}
    leases.fenced_update(run, **changes)
    faults.point("run.metrics_fenced")
    # A resumed attempt says again what the lost one said after its last checkpoint.
    MetricChunk.objects.append(run, said)


def _said(run: Run, event: Event) -> dict[str, Series]:
    """Each step's own values where the engine tells them, else the means of its window as those of the last step.

    Curves are drawn over time and tokens too, so both are kept as curves; of an engine that tells no time it is the
    time since the attempt began.
    """
    step, gauges = int(event["step"]), event.get("gauges") or {}
    if "each" in event:
        each = {str(name): Series.of(event["steps"], _numbers(values)) for name, values in event["each"].items()}
        return each | {str(name): Series.of([step], [value]) for name, value in gauges.items()}
    values = {"seconds": _seconds(run), "tokens": event.get("tokens")} | event["values"] | gauges
    return {str(name): Series.of([step], [value]) for name, value in values.items() if isinstance(value, int | float)}


def _validation_data(run: Run, event: Event) -> None:
    """Which of the validation rows are read, and what was left out of them."""
    told = {key: event[key] for key in event if key != "event"}
    leases.fenced_update(run, report=run.report | {"validation": told})


@transaction.atomic
def _validation(run: Run, event: Event) -> None:
    """One look at rows that are held out; said again by an attempt that goes on from a later checkpoint."""
    step = int(event["step"])
    said = {str(name): Series.of([step], _numbers([value])) for name, value in event["values"].items()}
    about = run.report.get("validation") or {}
    if event.get("seconds") is not None:  # what the next ones will take, for the end of the run
        about = about | {"seconds": float(event["seconds"])}
    leases.fenced_update(run, report=run.report | {"validation": about})
    MetricChunk.objects.append(run, said)


def _numbers(values: list[float | None]) -> list[float]:
    """JSON knows no NaN: what was none is said as null."""
    return [math.nan if value is None else value for value in values]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _checkpoint(run: Run, event: Event) -> None:
    """The engine has removed the oldest after the new one was read back; the row lists those that are left."""
    step, sha256 = int(event["step"]), str(event.get("sha256", ""))[:64]
    saved = {"step": step, "sha256": sha256, "bytes": int(event.get("bytes") or 0), "at": timezone.now().isoformat()}
    there = set(event.get("kept") or [step])
    others = [one for one in run.checkpoints if one["step"] in there and one["step"] != step]
    leases.fenced_update(
        run,
        checkpoint_step=step,
        checkpoint_sha256=sha256,
        checkpoints=sorted([*others, saved], key=lambda one: -one["step"]),
        saves=kept.noted(run.saves, run.fence, step, _seconds(run)),
        degraded={},
    )
    faults.point("run.checkpoint_noted")


def _seconds(run: Run) -> float:
    """Since the attempt began."""
    now = timezone.now()
    return (now - (run.started_at or now)).total_seconds()


_NOTES = {
    "started": _started,
    "data": _data,
    "pace": _pace,
    "stop_time": _stop_time,
    "warning": _warning,
    "failed": _failed,
    "samples": _samples,
    "metrics": _metrics,
    "validation_data": _validation_data,
    "validation": _validation,
    "checkpoint": _checkpoint,
}
