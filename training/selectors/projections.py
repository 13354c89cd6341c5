"""What a run would take: the counted data, what was measured before, and the projection made from both."""

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from django.db.models import QuerySet

from datasets_app.models import DatasetVersion
from projects.domain.states import JobState
from projects.models import Attempt, Project
from training.domain import bounds, looks
from training.domain import projection as projecting
from training.domain import rehearsal as rehearsing
from training.domain.projection import Calibration, Measured, Plan, Projection, Shape
from training.domain.recipe import Cut, Method, Recipe
from training.models import Adapter, BaseModelVersion, Rehearsal, TokenProfile
from training.selectors import rates, tokens

LABELS = ("training.run", "training.rehearsal")


class Where(NamedTuple):
    """The device that a run will most likely get, and the memory it has; 0 where that is not known."""

    device: str
    card: str
    capacity: int


def trainable_versions(project: Project) -> QuerySet[DatasetVersion]:
    """Versions of the project's training sets, the newest first."""
    rows = DatasetVersion.objects.filter(dataset__project=project, dataset__purpose="training")
    return rows.select_related("dataset__project").order_by("-pk")


def likely_place() -> Where:
    """Where the last run or rehearsal was, else a card if this machine has one."""
    last = Attempt.objects.filter(job_label__in=LABELS, ended_at__isnull=False).exclude(device_name="")
    attempt = last.order_by("-pk").first()
    if attempt is None:
        return Where("cuda" if Path("/dev/nvidia0").exists() else "cpu", "", 0)
    device = "cuda" if attempt.device.startswith("cuda") else "cpu"
    return Where(device, attempt.device_name, rates.capacity_of(device, attempt.device_name))


def likely_device(project: Project) -> str:
    return likely_place().device


class Kept(NamedTuple):
    """Rows as a run would train on them: their numbers and lengths, of a pair the longer sequence."""

    indices: Any
    lengths: Any
    tokens: int
    trained_tokens: int


def kept_rows(profile: TokenProfile, recipe: Recipe) -> Kept:
    return _kept(profile.key, tokens.digest_of(profile), recipe.max_length, recipe.cut)


@lru_cache(maxsize=4)
def _kept(key: str, digest: str, limit: int, cut: str) -> Kept:
    import numpy as np

    counts = tokens.counts_of(key, digest)
    trained = counts.trained(limit)
    use = counts.shown & (trained > 0)
    if cut == Cut.DROP:
        use &= counts.total <= limit
    lengths = np.minimum(counts.total, limit)[use]
    total = int(lengths.sum(dtype=np.int64))
    if counts.pairs:
        shorter = (counts.prompt + np.minimum(counts.chosen, counts.rejected))[use]
        total += int(np.minimum(shorter, limit).sum(dtype=np.int64))
    return Kept(np.flatnonzero(use), lengths, total, int(trained[use].sum()))


def plan(base: BaseModelVersion, profile: TokenProfile, recipe: Recipe, where: Where) -> Plan:
    """All that the projection depends on."""
    key, digest = profile.key, tokens.digest_of(profile)
    return _plan(key, digest, recipe, where, base.architecture, base.fingerprint, base.projection_shape)


@lru_cache(maxsize=64)
def _plan(
    key: str, digest: str, recipe: Recipe, where: Where, architecture: str, fingerprint: str, shape: Shape
) -> Plan:
    kept = _kept(key, digest, recipe.max_length, recipe.cut)
    return projecting.make(
        device=where.device,
        card=where.card,
        capacity=where.capacity,
        architecture=architecture,
        fingerprint=fingerprint,
        shape=shape,
        recipe=recipe,
        lengths=kept.lengths,
        epoch_tokens=kept.tokens,
        trained_tokens=kept.trained_tokens,
    )


class Look(NamedTuple):
    """What is read of validation data at each look."""

    rows: int
    tokens: int


def look(held_out: TokenProfile, recipe: Recipe, epoch_tokens: int | None = None) -> Look:
    """As the engine will choose the rows; without the tokens of an epoch, the fewest that it would."""
    cut = Cut.CUT if recipe.cut == Cut.CUT else Cut.DROP
    kept = _kept(held_out.key, tokens.digest_of(held_out), recipe.max_length, cut)
    version = held_out.version
    return _look(kept, version.content_hash, version.rows, epoch_tokens or 0)


def _look(kept: Kept, content_hash: str, total: int, epoch_tokens: int) -> Look:
    # Of a pair the counts tell the longer answer; together both take so many times as much.
    share = kept.tokens / max(1, int(kept.lengths.sum()))
    known = dict(zip(kept.indices.tolist(), kept.lengths.tolist(), strict=True))
    sizes = [round(known[row] * share) for row in looks.drawn(content_hash, total) if row in known]
    rows = looks.rows_read(sizes, epoch_tokens)
    return Look(rows, sum(sizes[:rows]))


class Basis(NamedTuple):
    """What projections onto one base rest on: read once where many are made."""

    where: Where
    measured: list[Measured]
    calibration: Calibration


def basis(base: BaseModelVersion) -> Basis:
    where = likely_place()
    return Basis(where, rates.measured(where.device, base.fingerprint), rates.calibration(where.device))


def projection(
    project: Project,
    base: BaseModelVersion,
    profile: TokenProfile,
    recipe: Recipe,
    parent: Adapter | None = None,
    rests_on: Basis | None = None,
    held_out: TokenProfile | None = None,
) -> Projection:
    """Tokens, time, memory, disk and money of a run that has not started; rehearsed, if it was. `held_out` are the
    counts of the validation data that it is looked at with."""
    where, measured, calibration = rests_on or basis(base)
    price: Decimal = project.hour_price(where.device)
    rehearsed = rehearsal_of(project, base, profile.version, recipe, parent, where)
    usable = rehearsed is not None and rehearsed.fits
    planned = plan(base, profile, recipe, where)
    if held_out is not None:
        planned = replace(planned, look_tokens=look(held_out, recipe, planned.work.epoch_tokens).tokens)
    return projecting.project(
        planned,
        measured=measured,
        rehearsal=Measured.read(rehearsed.plan, rehearsed.result, rehearsal=True) if rehearsed and usable else None,
        calibration=calibration,
        hour_price=price,
        currency=project.currency,
    )


def rehearsal_of(
    project: Project,
    base: BaseModelVersion,
    version: DatasetVersion,
    recipe: Recipe,
    parent: Adapter | None = None,
    where: Where | None = None,
) -> Rehearsal | None:
    """The newest rehearsal of exactly this, on the device that the run would get."""
    where = where or likely_place()
    found = project.rehearsals.filter(digest=rehearsal_digest(base, version, recipe, parent, where))
    if where.card:
        found = found.filter(device_name__in=["", where.card])
    return found.exclude(state=JobState.CANCELLED).order_by("-pk").first()


def rehearsal_digest(
    base: BaseModelVersion, version: DatasetVersion, recipe: Recipe, parent: Adapter | None, where: Where
) -> str:
    return rehearsing.digest(
        recipe,
        fingerprint=base.fingerprint,
        content_hash=version.content_hash,
        parent=parent.digest if parent else "",
        device=where.device,
    )


def refuse_unbounded(base: BaseModelVersion, version: DatasetVersion, recipe: Recipe) -> None:
    """Refuse a recipe that cannot end with this data, or cannot help with this base."""
    linear = base.shape.get("linear")
    bounds.check(recipe, rows=version.rows, context_length=base.context_length, linear=linear)


def fits_method(version: DatasetVersion, method: str) -> bool:
    return (version.kind == "preference") == (method == Method.DPO)
