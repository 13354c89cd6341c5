"""What the page of a run says about failing, stopping and going on."""

from typing import Any

from django.urls import reverse

from training import selectors
from training.domain.failures import Look
from training.domain.knobs import KNOB
from training.domain.remedies import remedy
from training.models import Run
from training.selectors import AttemptCost


def durability(run: Run, attempts: list[AttemptCost]) -> dict[str, Any]:
    """Its checkpoints, what they keep of the money, and its trouble, if there is any."""
    found = selectors.checkpoints(run)
    steps = [one.step for one in found if one.is_whole]
    trouble = selectors.trouble(run, attempts)
    return {
        "checkpoints": found,
        "resume_step": max(steps, default=0),
        "spent": selectors.spent(run, attempts, steps),
        "trouble": trouble,
        "row_links": [(row, _row_url(run, row)) for row in trouble.rows] if trouble else [],
        "look_at": _look_at(run, trouble) if trouble else None,
        "too_little_grace": bool(run.grace_seconds and run.stop_seconds and run.stop_seconds > run.grace_seconds),
    }


def _row_url(run: Run, row: int) -> str:
    address = reverse("version-seen", args=[run.project.slug, run.dataset_version_id])
    return f"{address}?base={run.base_id}&row={row}"


def _look_at(run: Run, trouble: selectors.Trouble) -> tuple[str, str] | None:
    """A page on which the cause can be seen: its address and the words of the button."""
    match trouble.failure.look:
        case Look.DATA:
            return run.dataset_version.get_absolute_url(), "Open the data"
        case Look.BASE:
            return run.base.get_absolute_url(), "Open the base model"
        case Look.WORKERS:
            return reverse("worker-list"), "Look at the workers"
    return None


def like(run: Run, fix: str) -> tuple[dict[str, Any], list[str]]:
    """A form filled with the settings of an earlier run, changed as a failure advises, and the changes in words."""
    values = {name: run.recipe[name] for name in KNOB if name in run.recipe}
    found = remedy(fix, run.read_recipe, run.failure) if fix else None
    changes = found.changes if found else {}
    initial = values | changes
    initial["target_modules"] = ", ".join(initial.get("target_modules") or [])
    parts = {"dataset_version": run.dataset_version_id, "base": run.base_id, "parent": run.parent_adapter_id or ""}
    parts["validation_version"] = run.validation_version_id or ""
    told = [f"{KNOB[name].label}: {_told(values.get(name))} → {_told(value)}" for name, value in changes.items()]
    return initial | parts | {"name": f"{run.name[:100]}, changed" if changes else f"{run.name[:100]}, again"}, told


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
