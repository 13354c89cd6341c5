"""The kinds of background work, told to the kernel by the apps that own them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from projects.bounds import UNBOUND, Limits
from projects.models import LeasedJob

Event = dict[str, Any]


def by_progress(job: Any, now: datetime) -> float | None:
    """Time left: what the child says of it, or at the pace so far, once a twentieth is done."""
    if isinstance(left := job.progress.get("left"), int | float):
        return max(0.0, float(left))
    done, total = job.progress.get("done") or 0, job.progress.get("total") or 0
    if not job.started_at or not total or done < total / 20:
        return None
    return max(0.0, (now - job.started_at).total_seconds() * (total - done) / done)


@dataclass(frozen=True)
class JobKind:
    """How one kind of work is prepared, followed and completed.

    `prepare(job, workdir)` writes what the child needs and returns its command line.
    `on_event(job, event)` takes every JSON object the child prints, under the lease.
    `complete(job, workdir, result)` runs inside the final transaction, only after exit code 0 and a `result` event.
    `failed(job, code)` runs inside the final transaction of a failure or a cancellation.
    `after(job)` runs once the end is committed: what should happen next.
    `remaining(job, now)` says in how many seconds a running job is expected to end; None is not known.
    `patience(phase)` says for how many seconds the child may be silent in a phase; None is for ever.
    `secrets` are variables of the environment that only a child of this kind is given.
    `working` are the phases in which the device does what it is held for; the rest is booked as idle. None: all.
    """

    label: str
    model: type[LeasedJob]
    queue: str
    cause: str
    prepare: Callable[[Any, Path], list[str]]
    complete: Callable[[Any, Path, Event], None]
    on_event: Callable[[Any, Event], None] = lambda job, event: None
    failed: Callable[[Any, str], None] = lambda job, code: None
    after: Callable[[Any], None] = lambda job: None
    remaining: Callable[[Any, datetime], float | None] = by_progress
    patience: Callable[[str], float | None] = lambda phase: None
    grace_seconds: float | None = 8  # None: as long as the operator gives (settings.STOP_GRACE_SECONDS)
    limits: Limits = UNBOUND
    working: frozenset[str] | None = None
    secrets: tuple[str, ...] = ()

    @property
    def grace(self) -> float:
        """Seconds between the wish that the child stops and its end by force."""
        return settings.STOP_GRACE_SECONDS if self.grace_seconds is None else self.grace_seconds


_kinds: dict[str, JobKind] = {}
_wholes: dict[str, JobKind] = {}


def register(kind: JobKind) -> None:
    _kinds[kind.label] = kind


def kinds(queue: str | None = None) -> list[JobKind]:
    return [kind for kind in _kinds.values() if queue in {None, kind.queue}]


def _never(*_: Any) -> Any:
    raise AssertionError("a whole is moved on by the reconciler; no worker takes it")


def register_whole(label: str, model: type[LeasedJob]) -> None:
    """Work that consists of other work, such as a sweep of runs: its money is held, and no worker takes it."""
    _wholes[label] = JobKind(label=label, model=model, queue="", cause="training", prepare=_never, complete=_never)


def with_money() -> list[JobKind]:
    """Everything that money is held for."""
    return [*_kinds.values(), *_wholes.values()]


def kind(label: str) -> JobKind:
    return _kinds[label] if label in _kinds else _wholes[label]


def kind_of(job: LeasedJob) -> JobKind:
    return kind(job.job_label)


def secrets_of(kind: JobKind) -> dict[str, str]:
    """What of the environment only this kind's child is given, as far as it is set."""
    return {name: os.environ[name] for name in kind.secrets if name in os.environ}
