"""Predicted against actual: what is written down when a run has come to its end."""

from typing import Any

from django.db.models import Sum

from projects.domain.states import JobState, Outcome
from projects.models import Attempt, LedgerEntry
from training import supervisor, sweeping
from training.domain.projection.projecting import predicted
from training.models import ProjectionRecord, Run

LABEL = "training.run"
RATES = (
    "points", "measured_steps", "widest", "saves", "save_seconds", "save_bytes", "peak_disk", "stages", "capacity",
    "memory_bytes", "reference_tokens", "samples_taken", "sample_seconds", "looks", "look_seconds",
)  # fmt: skip
SWEPT = 50  # records made in one sweep, where a worker ended before it could


def record_projection(run: Run) -> ProjectionRecord | None:
    """Store what was predicted of a run that succeeded and what it came to. Doing the same again changes nothing."""
    plan = run.projection.get("plan")
    if run.state != JobState.SUCCEEDED or not plan or not run.measured:
        return None
    attempts = list(Attempt.objects.filter(job_label=LABEL, job_id=run.pk).order_by("number"))
    whole = len(attempts) == 1 and attempts[0].outcome == Outcome.SUCCEEDED
    record, _ = ProjectionRecord.objects.get_or_create(
        run=run,
        defaults={
            "project": run.project,
            "source": run.projection["source"],
            "level": run.projection.get("level", ""),
            "device": "cuda" if run.device.startswith("cuda") else "cpu",
            "device_name": run.device_name,
            "fingerprint": run.base.fingerprint,
            "predicted": predicted(run.projection),
            "actual": _actual(run, attempts),
            "plan": plan | {"device": "cuda" if run.device.startswith("cuda") else "cpu", "card": run.device_name},
            "rates": _rates(run, attempts),
            "whole": whole,
        },
    )
    return record


def _actual(run: Run, attempts: list[Attempt]) -> dict[str, float]:
    """What it came to: all attempts together, as they were paid for."""
    booked = LedgerEntry.objects.filter(subject_kind=LABEL, subject_id=run.pk).aggregate(sum=Sum("amount"))["sum"]
    measured = run.measured
    found: dict[str, Any] = {
        "seconds": sum(attempt.seconds or 0.0 for attempt in attempts),
        "money": booked,
        "memory_bytes": measured.get("memory_bytes"),
        "tokens": measured.get("tokens"),
    }
    if measured.get("peak_disk") is not None:
        found["disk_bytes"] = measured["peak_disk"] + 2 * run.adapter.size_bytes
    return {name: float(value) for name, value in found.items() if value is not None}


def _rates(run: Run, attempts: list[Attempt]) -> dict[str, Any]:
    """What the engine measured, and the rest of the attempt: its start, its files into the store, its end."""
    told = {name: run.measured[name] for name in RATES if run.measured.get(name) is not None}
    stages = told.get("stages") or {}
    if stages and attempts and attempts[-1].seconds is not None:
        stages = stages | {"closing": max(0.0, attempts[-1].seconds - sum(stages.values()))}
    return told | {
        "stages": stages,
        "adapter_bytes": run.adapter.size_bytes,
        "pace": run.report.get("pace"),
    }


def note_money(line: LedgerEntry) -> None:
    """Keep on the row of a run what it has cost and how long it worked, in the transaction that booked it."""
    if line.subject_kind != LABEL:
        return
    booked = LedgerEntry.objects.filter(subject_kind=LABEL, subject_id=line.subject_id).aggregate(sum=Sum("amount"))
    ended = Attempt.objects.filter(job_label=LABEL, job_id=line.subject_id, ended_at__isnull=False)
    Run.objects.filter(pk=line.subject_id).update(
        cost=booked["sum"], seconds=sum(attempt.seconds or 0.0 for attempt in ended) if ended else None
    )


def after_run(run: Run) -> None:
    record_projection(run)
    supervisor.tidy_run(run)
    sweeping.advance_of(run)


def record_missing() -> int:
    """Runs whose worker ended between its last commit and its record; part of every sweep."""
    runs = Run.objects.filter(state=JobState.SUCCEEDED, projection_record=None, projection__has_key="plan")
    rows = list(runs.select_related("project", "base", "adapter").order_by("-pk")[:SWEPT])
    return sum(record_projection(run) is not None for run in rows)
