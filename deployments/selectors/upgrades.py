"""Adapters of an old base as a new version sees them: what is known of each, ordered by use."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from deployments.domain import upgrades as domain
from deployments.domain.upgrades import Against, Found, Known, Part, Use
from deployments.models import Deployment, UpgradeItem
from evaluation import selectors as evaluations
from evaluation.domain.graders import GRADERS
from evaluation.models import Evaluation
from evaluation.selectors import Cell
from projects.clock import database_time
from projects.domain.states import ACTIVE, JobState
from projects.models import Project
from training import selectors as training
from training.models import Adapter, BaseModelVersion, Run

RECENT = timedelta(days=90)
MOST_COMPARED = 4_096
_compared: dict[tuple[int, int], dict[str, Any]] = {}  # of this process: what succeeded never changes


@dataclass
class Standing:
    """One adapter of the old base, and all that is known of it on the new version."""

    adapter: Adapter
    use: Use
    cell: Cell
    baseline: Evaluation | None = None
    carried: Evaluation | None = None
    run: Run | None = None
    retrained: Evaluation | None = None
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    against_carried: Against | None = None
    against_retrained: Against | None = None
    found: Found | None = None

    @property
    def replacement(self) -> Adapter | None:
        return getattr(self.run, "adapter", None) if self.run else None

    @property
    def golden(self) -> Any:
        return self.baseline.golden if self.baseline else None


def standings(
    old: BaseModelVersion,
    new: BaseModelVersion,
    *,
    adapters: Sequence[Adapter] | None = None,
    margin: float = domain.MARGIN,
    compare: bool = True,
) -> list[Standing]:
    """Every adapter of `old` on `new`, what is used most first; a fixed number of queries besides comparisons."""
    project = old.project
    rows = list(training.adapters(project).filter(base=old)) if adapters is None else list(adapters)
    if not rows:
        return []
    cells = {adapter.pk: row[0] for adapter, row in evaluations.cells(project, rows, [new])}
    uses, baselines = used(project, rows), best_baselines(project, rows)
    items = _items(old, new, rows)
    found = []
    for adapter in rows:
        run, notes = _of_items(items.get(adapter.pk, []))
        found.append(
            Standing(cells[adapter.pk].adapter, uses[adapter.pk], cells[adapter.pk], baselines.get(adapter.pk), run=run)
        )
        found[-1].notes = notes
    _add_evaluations(found, new)
    stored = {key: value for group in items.values() for item in group for key, value in item.compared.items()}
    for one in found:
        judge(one, margin, stored, compare=compare)
    return sorted(found, key=lambda one: (one.use.key, one.adapter.pk))


def judge(one: Standing, margin: float, stored: Mapping[str, Any], *, compare: bool = True) -> None:
    """Hold its answers against each other and say what became of it."""
    if compare and one.baseline:
        one.against_carried = _against(one.baseline, one.carried, stored)
        one.against_retrained = _against(one.baseline, one.retrained, stored)
    judgement = one.cell.judgement
    known = Known(
        verdict=judgement.verdict,
        reason=judgement.reasons[0].text if judgement.reasons else "",
        measured=one.cell.probe is not None,
        carried=one.against_carried,
        retrained=one.against_retrained,
        troubles={part: note["text"] for part, note in one.notes.items()},
    )
    one.found = domain.judge(known, margin)


# Use


def used(project: Project, adapters: Sequence[Adapter]) -> dict[int, Use]:
    """Where each is live, how often it was deployed, and what was done with it in the last ninety days."""
    pks, since = [adapter.pk for adapter in adapters], database_time() - RECENT
    deployments = Deployment.objects.filter(project=project, adapter__in=pks)
    live: dict[int, list[str]] = {}
    for pk, slot in deployments.filter(live=True).order_by("slot__name").values_list("adapter", "slot__name"):
        live.setdefault(pk, []).append(slot)
    often = Counter(deployments.filter(verified_at__isnull=False).values_list("adapter", flat=True))
    recent = Evaluation.objects.filter(adapter__in=pks, created_at__gte=since)
    judged = Counter(recent.values_list("adapter", flat=True))
    went_on = Counter(project.runs.filter(parent_adapter__in=pks, created_at__gte=since).values_list("parent_adapter"))
    return {pk: Use(tuple(live.get(pk, ())), often[pk], judged[pk], went_on[(pk,)]) for pk in pks}


# Evaluations


def best_baselines(project: Project, adapters: Sequence[Adapter]) -> dict[int, Evaluation]:
    """What each was judged by on its own base: the evidence of what is live, else the newest evaluation."""
    own = evaluations.evaluations(project).filter(adapter__in=adapters, state=JobState.SUCCEEDED)
    bases = {adapter.pk: adapter.base_id for adapter in adapters}
    found: dict[int, Evaluation] = {}
    for row in own:
        if row.base_id == bases[row.adapter_id]:
            found.setdefault(row.adapter_id, row)
    live = Deployment.objects.filter(project=project, live=True, adapter__in=adapters).order_by("pk")
    evidence = dict(live.exclude(request__evaluation=None).values_list("adapter", "request__evaluation"))
    for row in own.filter(pk__in=evidence.values()):
        if row.base_id == bases[row.adapter_id]:
            found[row.adapter_id] = row
    return found


def _add_evaluations(rows: Sequence[Standing], new: BaseModelVersion) -> None:
    """The newest evaluations on the new version that asked the same golden set as the baseline."""
    replacements = {one.replacement.pk for one in rows if one.replacement}
    asked = evaluations.evaluations(new.project).filter(
        base=new, state__in=[JobState.SUCCEEDED, *ACTIVE], adapter__in=[*(r.adapter.pk for r in rows), *replacements]
    )
    by_pair: dict[tuple[int, int], Evaluation] = {}
    for row in asked:
        key = (row.adapter_id, row.golden_id)
        if key not in by_pair or (row.state == JobState.SUCCEEDED and by_pair[key].state != JobState.SUCCEEDED):
            by_pair[key] = row
    for one in rows:
        if one.baseline is None:
            continue
        one.carried = by_pair.get((one.adapter.pk, one.baseline.golden_id))
        if one.replacement:
            one.retrained = by_pair.get((one.replacement.pk, one.baseline.golden_id))


def _against(old: Evaluation, new: Evaluation | None, stored: Mapping[str, Any]) -> Against | None:
    if new is None or new.state != JobState.SUCCEEDED:
        return None
    raw = stored.get(pair_key(old, new)) or compared(old, new)
    return Against.read(raw) if raw else None


def pair_key(old: Evaluation, new: Evaluation) -> str:
    return f"{old.pk}:{new.pk}"


def compared(old: Evaluation, new: Evaluation) -> dict[str, Any]:
    """Two evaluations row by row, by the grader that leads the older one; {} where they share no row."""
    key = (old.pk, new.pk)
    if key not in _compared:
        import numpy

        primary = old.summary.get("primary") or old.settings.get("primary") or ""
        grader = GRADERS.get(primary)
        before, after = (evaluations.row_scores(row, primary) for row in (old, new))
        rng = numpy.random.default_rng(0)
        found = domain.against(before, after, binary=bool(grader and grader.binary), rng=rng)
        if len(_compared) >= MOST_COMPARED:
            _compared.clear()
        _compared[key] = found.as_dict() if found else {}
    return _compared[key]


# What earlier orders have left


def _items(old: BaseModelVersion, new: BaseModelVersion, adapters: Iterable[Adapter]) -> dict[int, list[UpgradeItem]]:
    rows = UpgradeItem.objects.filter(upgrade__old=old, upgrade__new=new, adapter__in=adapters)
    rows = rows.exclude(upgrade__state="draft").select_related("retrain__project", "retrain__adapter__base")
    found: dict[int, list[UpgradeItem]] = {}
    for item in rows.order_by("-upgrade_id"):
        found.setdefault(item.adapter_id, []).append(item)
    return found


def _of_items(items: Sequence[UpgradeItem]) -> tuple[Run | None, dict[str, Any]]:
    """The newest run that trains it again, and by part why the newest order that tried it came to nothing."""
    runs = [item.retrain for item in items if item.retrain is not None]
    done = [run for run in runs if run.state == JobState.SUCCEEDED]
    notes: dict[str, Any] = {}
    tried: set[str] = set()
    for item in items:
        for part in Part:
            if part not in tried and (part in item.notes or getattr(item, f"{part.value}_id") is not None):
                tried.add(part)
                if part in item.notes:
                    notes[part.value] = item.notes[part]
    return next(iter(done or runs), None), notes
