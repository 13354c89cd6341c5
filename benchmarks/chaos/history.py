"""The whole history of one run: what somebody reads who wants to know how a violation came about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

TAIL = 2500


def tell(run_id: int) -> str:
    from training.models import Run

    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        return f"there is no run {run_id}"
    return "\n".join([*_row(run), *_attempts(run), *_audit(run), *_logs(run)])


def _row(run: Any) -> Iterator[str]:
    yield f"=== run {run.pk} “{run.name}” {run.state} fence {run.fence} step {run.step}/{run.total_steps}"
    yield f"    owner {run.owner} lease until {run.lease_until} heartbeat {run.heartbeat_at}"
    yield f"    losses {run.infra_failures} cancel {run.cancel_requested_at} pause {run.pause_requested_at}"
    yield f"    error {run.error_code} {run.error_message}"


def _attempts(run: Any) -> Iterator[str]:
    from projects.models import Attempt

    for one in Attempt.objects.filter(job_label=run.job_label, job_id=run.pk).order_by("fence"):
        yield f"  attempt f{one.fence} {one.worker} {one.started_at} – {one.ended_at} {one.outcome} {one.error_code}"


def _audit(run: Any) -> Iterator[str]:
    from projects.models import AuditEvent

    for event in AuditEvent.objects.filter(target=f"training.run:{run.pk}").order_by("pk"):
        yield f"  audit {event.at} {event.action} by {event.actor} {event.reason} {event.detail}"


def _logs(run: Any) -> Iterator[str]:
    for folder in sorted(run.home.glob("f*"), key=lambda path: int(path.name[1:])):
        for name in ("supervisor.log", "engine.log"):
            text = _tail(folder / name)
            if text:
                yield f"  --- {folder.name}/{name}\n{text}"


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-TAIL:] if path.exists() else ""
