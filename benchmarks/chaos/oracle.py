"""The oracle: what must be true when all is quiet again, read from plain rows and from the disk.

`judge` is a pure function over the facts of one run, so that tests can plant every kind of damage and see it found.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

LOST, DUPLICATE, ZOMBIE, STUCK, OTHER = "lost", "duplicates", "zombie_writes", "stuck", "other"
OVER = ("succeeded", "failed", "cancelled")
ENDINGS = {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled"}


@dataclass(frozen=True)
class Violation:
    kind: str
    run: int
    text: str


@dataclass
class Facts:
    """Everything known of one run."""

    run: int
    state: str
    fence: int
    error_code: str = ""
    plan: str = "plain"
    accepted: bool = True
    cancel_accepted: bool = False
    disk_was_full: bool = False  # a point on the way of its engine found no room
    owner_of_lease: bool = False  # a lease is written on the row
    adapters: list[str] = field(default_factory=list)  # their keys
    stored: list[str] = field(default_factory=list)  # keys with a whole, verified directory
    weights_ok: bool = True
    metric_steps: list[int] = field(default_factory=list)
    total_steps: int = 0
    attempts: list[dict[str, Any]] = field(default_factory=list)  # fence, outcome, ended, lines (of the ledger)
    audit: list[str] = field(default_factory=list)


def judge(facts: Facts) -> list[Violation]:
    """All that is wrong with one run."""
    wrong = [
        *_about_the_end(facts),
        *_about_the_adapter(facts),
        *_about_attempts(facts),
        *_about_the_audit(facts),
        *_about_metrics(facts),
    ]
    return [Violation(kind, facts.run, text) for kind, text in wrong]


Wrong = list[tuple[str, str]]


def wanted(facts: Facts) -> tuple[str, ...]:
    """How it may end. A cancel that was accepted may come too late: then the success stands."""
    if facts.plan == "fail":
        return ("failed",)
    return ("cancelled", "succeeded") if facts.cancel_accepted else ("succeeded",)


def _about_the_end(facts: Facts) -> Wrong:
    if not facts.accepted:
        return []
    if facts.state not in OVER:
        return [(STUCK, f"it is still {facts.state}")]
    if facts.disk_was_full and (facts.state, facts.error_code) == ("failed", "disk_full"):
        return []  # outside of a checkpoint there is nothing to go on with: whoever started it is told, and may retry
    if facts.state not in wanted(facts):
        return [(LOST, f"it ended {facts.state} {facts.error_code}, not {' or '.join(wanted(facts))}")]
    return [(STUCK, "it is over and still holds a lease")] if facts.owner_of_lease else []


def _about_the_adapter(facts: Facts) -> Wrong:
    if facts.state != "succeeded":
        return [(OTHER, f"it is {facts.state} and has an adapter")] if facts.adapters else []
    wrong: Wrong = []
    if len(facts.adapters) > 1:
        wrong.append((DUPLICATE, f"{len(facts.adapters)} adapters"))
    if not facts.adapters:
        return [(LOST, "it succeeded without an adapter")]
    if not set(facts.adapters) <= set(facts.stored):
        wrong.append((LOST, f"{facts.adapters[0]} is not whole on the disk"))
    if not all(key.endswith(f"-f{facts.fence}") for key in facts.adapters):
        wrong.append((ZOMBIE, f"{facts.adapters[0]} is not of the last fence {facts.fence}"))
    if not facts.weights_ok:
        wrong.append((LOST, "its weights are not those of an uninterrupted run: steps were lost or taken twice"))
    return wrong


def _about_attempts(facts: Facts) -> Wrong:
    wrong: Wrong = []
    fences = [attempt["fence"] for attempt in facts.attempts]
    if fences != list(range(1, facts.fence + 1)):
        wrong.append((DUPLICATE, f"{facts.fence} claims and attempts of fences {fences}"))
    for attempt in facts.attempts:
        name = f"the attempt of fence {attempt['fence']}"
        if facts.state in OVER and not attempt["ended"]:
            wrong.append((STUCK, f"{name} never ended"))
        if attempt["ended"] and attempt["lines"] != 1:
            wrong.append((DUPLICATE, f"{name} has {attempt['lines']} ledger lines"))
        if not attempt["ended"] and attempt["lines"]:
            wrong.append((ZOMBIE, f"{name} is paid and goes on"))
    return wrong + _about_outcomes(facts)


def _about_outcomes(facts: Facts) -> Wrong:
    ended = Counter(attempt["outcome"] for attempt in facts.attempts)
    if ended["succeeded"] != (facts.state == "succeeded"):
        return [(DUPLICATE, f"{ended['succeeded']} attempts succeeded and the run is {facts.state}")]
    last = facts.attempts[-1]["outcome"] if facts.attempts else ""
    if facts.state in {"succeeded", "failed"} and facts.error_code != "infra_quarantined" and last != facts.state:
        return [(OTHER, f"the run is {facts.state} and its last attempt {last or 'open'}")]
    return []


def _about_the_audit(facts: Facts) -> Wrong:
    said = Counter(facts.audit)
    wrong: Wrong = []
    if said["run.succeeded"] != (facts.state == "succeeded"):
        wrong.append((DUPLICATE, f"the audit log says {said['run.succeeded']} times that it succeeded"))
    if said["run.running"] != facts.fence:
        wrong.append((DUPLICATE, f"the audit log knows {said['run.running']} claims of {facts.fence}"))
    return wrong


def _about_metrics(facts: Facts) -> Wrong:
    if facts.state != "succeeded" or facts.plan == "real":
        return []
    missing = sorted(set(range(1, facts.total_steps + 1)) - set(facts.metric_steps))
    return [(LOST, f"no metrics of steps {missing[:10]}")] if missing else []


# Reading


def gather(promises: dict[int, Any]) -> list[Facts]:
    """The facts of every run that is there; `promises` are what its owner was told, by run."""
    from projects.models import Attempt, AuditEvent
    from training import selectors
    from training.models import Run

    found = []
    for run in Run.objects.exclude(state="draft").order_by("pk"):
        promise = promises.get(run.pk)
        attempts = Attempt.objects.filter(job_label="training.run", job_id=run.pk).order_by("fence")
        facts = Facts(
            run=run.pk,
            state=run.state,
            fence=run.fence,
            error_code=run.error_code,
            plan=promise.plan if promise else run.name.split()[0],
            # The row counts, too: an answer may have been lost. A retry clears it.
            cancel_accepted=bool(promise and promise.cancel_accepted) or run.cancel_requested_at is not None,
            disk_was_full=_disk_was_full(run),
            owner_of_lease=run.lease_until is not None,
            total_steps=run.total_steps,
            metric_steps=selectors.curve(run, "loss")[0],
            attempts=[_attempt(attempt) for attempt in attempts],
            audit=list(AuditEvent.objects.filter(target=f"training.run:{run.pk}").values_list("action", flat=True)),
        )
        _look_at_adapters(facts, run)
        found.append(facts)
    return found


def _attempt(attempt: Any) -> dict[str, Any]:
    from projects.models import LedgerEntry

    return {
        "fence": attempt.fence,
        "outcome": attempt.outcome,
        "ended": attempt.ended_at is not None,
        "lines": LedgerEntry.objects.filter(attempt=attempt, cause="training").count(),
    }


def _look_at_adapters(facts: Facts, run: Any) -> None:
    """Each adapter's files against its manifest, and its weights against those of an uninterrupted run."""
    from benchmarks.chaos import trainer
    from projects import artefacts
    from training.domain import adapters
    from training.domain.spec import RunSpec, digest
    from training.models import Adapter

    for adapter in Adapter.objects.filter(run=run):
        facts.adapters.append(adapter.key)
        try:
            folder = artefacts.fetch_directory(adapter.key)
            artefacts.check_directory(folder, adapter.manifest)
        except artefacts.ArtefactDamaged:
            continue
        facts.stored.append(adapter.key)
        if facts.plan != "real":
            spec = replace(RunSpec.read(run.spec), identity=digest(run.spec))
            expected = hashlib.sha256(trainer.weights(spec, trainer.last_link(spec))).hexdigest()
            facts.weights_ok = artefacts.sha256_of(Path(folder) / adapters.WEIGHTS) == expected


def _disk_was_full(run: Any) -> bool:
    return any(": enospc" in log.read_text(errors="replace") for log in run.home.glob("f*/engine.log"))


def unkept(promises: list[Any], facts: list[Facts]) -> list[Violation]:
    """Runs that somebody was told exist and that are not there, and two runs for one request."""
    there, names = {fact.run for fact in facts}, Counter[str]()
    from training.models import Run

    names.update(Run.objects.values_list("name", flat=True))
    wrong = [
        Violation(LOST, one.run, "it was accepted and is gone")
        for one in promises
        if one.accepted and one.run not in there
    ]
    return wrong + [
        Violation(DUPLICATE, 0, f"{count} runs named {name}: one request made several")
        for name, count in names.items()
        if count > 1
    ]
