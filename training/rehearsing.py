"""The body of a rehearsal: what the child is given, what it says, and what is kept of it."""

import shutil
from pathlib import Path
from typing import Any

from django.conf import settings

from projects import leases
from projects.domain.errors import Refused
from training import selectors, supervisor
from training.domain import rehearsal as rehearsing
from training.models import Rehearsal

Event = dict[str, Any]
MISFIT = ("row", "tokens", "rows", "fits_rows", "fits_tokens", "limit")
KEPT = (
    "points", "measured_steps", "widest", "peaks", "saves", "save_seconds", "save_bytes", "peak_disk", "stages",
    "memory_bytes", "capacity", "limit", "adapter_bytes", "epoch_tokens", "longest", "reference_tokens",
    "samples_taken", "sample_seconds",
)  # fmt: skip


def prepare(rehearsal: Rehearsal, workdir: Path) -> list[str]:
    """The frozen spec with the places of this attempt, and the numbers of the rows in the order to be taken."""
    spec = supervisor.placed(rehearsal, workdir, workdir / "ckpt")
    recipe = rehearsal.read_recipe
    profile = selectors.profile_for(rehearsal.dataset_version, rehearsal.base)
    if profile is None or not profile.is_ready:
        raise Refused("The data is no longer counted in tokens of this base.", code="tokens_not_counted")
    kept = selectors.kept_rows(profile, recipe)
    places = rehearsing.choose(kept.lengths, recipe)
    asked = {
        "run": spec.as_dict(),
        "rows": kept.indices[places].tolist(),
        "steps": rehearsing.STEPS,
        "memory_limit": settings.REHEARSAL_MEMORY_BYTES,
    }
    return supervisor.command("training.rehearsal", workdir, asked)


def note(rehearsal: Rehearsal, event: Event) -> None:
    match event["event"]:
        case "started":
            leases.fenced_update(
                rehearsal,
                device=str(event.get("device", ""))[:40],
                device_name=str(event.get("device_name", ""))[:120],
            )
        case "pace":
            leases.fenced_update(rehearsal, result=rehearsal.result | {"pace": _without(event, "event")})
        case "misfit":
            found = {name: event.get(name) for name in MISFIT}
            leases.fenced_update(rehearsal, result=rehearsal.result | {"misfit": found})


def complete(rehearsal: Rehearsal, workdir: Path, result: Event) -> None:
    """From here on projections of such a run rest on what was measured."""
    device, card = str(result["device"])[:40], str(result["device_name"])[:120]
    leases.fenced_update(
        rehearsal,
        result=rehearsal.result | {name: result.get(name) for name in KEPT},
        plan=rehearsal.plan | {"device": device, "card": card},
        device=device,
        device_name=card,
    )


def tidy(rehearsal: Rehearsal) -> None:
    """Nothing it wrote is of use to anybody."""
    for name in ("ckpt", "out"):
        shutil.rmtree(rehearsal.workdir / name, ignore_errors=True)


def _without(event: Event, *names: str) -> Event:
    return {name: value for name, value in event.items() if name not in names}
