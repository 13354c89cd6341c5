"""Looks at the files of bases on this host and writes down what is there: after all work on them, and now and then."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q

from projects import leases, slots
from projects.domain.states import JobState
from training import supervisor
from training.domain import copies
from training.domain.copies import CopyState
from training.engine import copies as files
from training.models import BaseCheck, BaseCopy, BaseModelVersion

EVERY = timedelta(minutes=5)
PROBE = "evaluation.probe"  # loads both versions of a base


def memory_of(base: BaseModelVersion) -> Path:
    """What this host remembers of the hashes of its files."""
    return Path(settings.DATA_DIR) / "verified" / f"{base.fingerprint}.json"


def look(base: BaseModelVersion, *, read: bool = False) -> BaseCopy:
    """Write down how the files are here. `read`: work that has just ended has found all bytes right."""
    now = leases.database_time()
    known = BaseCopy.objects.filter(base=base, host=slots.host_name()).first()
    verified = now if read else known.verified_at if known else None
    seen = files.glance(base.folder, base.parts, memory_of(base))
    state, wrong = copies.judge(seen, verified.timestamp() if verified else 0.0)
    whole = state == CopyState.WHOLE and not seen.untold
    return _write(base, state, wrong, now, now if whole else verified)


def _write(base: BaseModelVersion, state: str, wrong: list[str], now: datetime, verified: datetime | None) -> BaseCopy:
    changes = {"state": str(state), "wrong": wrong[:50], "looked_at": now, "verified_at": verified}
    copy, _ = BaseCopy.objects.update_or_create(base=base, host=slots.host_name(), defaults=changes)
    return copy


def look_after(job: Any) -> None:
    """Of a job that has just ended here and compares the bytes of its bases first: how those are now."""
    for base in _bases_of(job):
        if base.is_ready and base.parts:  # else there is nothing to hold them against
            look(base, read=job.state == JobState.SUCCEEDED)


def _bases_of(job: Any) -> Iterator[BaseModelVersion]:
    if isinstance(job, BaseModelVersion):
        yield job
    elif job.reads_base:
        yield job.base
        adapter = getattr(job, "adapter", None) if job.job_label == PROBE else None
        if adapter is not None and adapter.base_id != job.base_id:
            yield adapter.base


def look_around() -> int:
    """Bases that this host has not looked at for a while; only those whose folder is here or has been here."""
    now, host = leases.database_time(), slots.host_name()
    fresh = BaseCopy.objects.filter(host=host, looked_at__gt=now - EVERY).values("base")
    known = set(BaseCopy.objects.filter(host=host).values_list("base", flat=True))
    due = BaseModelVersion.objects.filter(~Q(pk__in=fresh), state=JobState.SUCCEEDED).exclude(parts={})
    found = [base for base in due if base.pk in known or base.folder.is_dir()]
    for base in found:
        look(base)
    return len(found)


# Checks


def prepare_check(check: BaseCheck, workdir: Path) -> list[str]:
    base = check.base
    spec = {
        "source": base.source,
        "repo_id": base.repo_id,
        "revision": base.revision,
        "path": str(base.folder),
        "expected": base.parts,
        "memory": str(memory_of(base)),
    }
    return supervisor.command("training.base_check", workdir, spec)


def complete_check(check: BaseCheck, workdir: Path, result: dict[str, Any]) -> None:
    """What was found stands on the copy, whatever it was: a check that finds a changed file has done its work."""
    now = leases.database_time()
    seen = copies.Seen(result["missing"], result["changed"], float(result["untold"]))
    state, wrong = copies.judge(seen, 0.0)
    before = BaseCopy.objects.filter(base=check.base, host=slots.host_name()).values_list("verified_at", flat=True)
    _write(check.base, state, wrong, now, now if state == CopyState.WHOLE else before.first())
