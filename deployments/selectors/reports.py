"""What became of the adapters of an old base: a line for each, what it cost, and the whole as one dict."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from deployments.domain import upgrades as domain
from deployments.domain.upgrades import Against, Part
from deployments.models import Upgrade, UpgradeItem
from deployments.selectors.upgrades import Standing, standings
from projects.clock import database_time
from projects.domain import money
from projects.models import Attempt, LedgerEntry
from training.models import BaseModelVersion

LABELS = {
    Part.BASELINE: "evaluation.evaluation",
    Part.PROBE: "evaluation.probe",
    Part.CARRIED: "evaluation.evaluation",
    Part.RETRAIN: "training.run",
    Part.RETRAINED: "evaluation.evaluation",
}
Spent = dict[int, dict[Part, Decimal]]


@dataclass(frozen=True)
class Report:
    """Every line, what is used most first, and their sums."""

    old: BaseModelVersion
    new: BaseModelVersion
    margin: float
    lines: Sequence[Standing]
    spent: Spent  # by adapter

    @property
    def counts(self) -> dict[str, int]:
        return domain.counts([one.found.outcome for one in self.lines if one.found])

    @property
    def headline(self) -> str:
        return domain.headline(self.counts)

    @property
    def margin_points(self) -> str:
        return f"{self.margin * 100:g}"

    @property
    def total(self) -> Decimal:
        return sum((amount for parts in self.spent.values() for amount in parts.values()), Decimal(0))

    def cost_of(self, one: Standing) -> Decimal:
        return sum(self.spent.get(one.adapter.pk, {}).values(), Decimal(0))

    def as_dict(self) -> dict[str, Any]:
        """For the API, files, and to be kept."""
        return {
            "old": _base(self.old),
            "new": _base(self.new),
            "margin": self.margin,
            "counts": self.counts,
            "headline": self.headline,
            "cost": str(self.total),
            "currency": self.old.project.currency,
            "adapters": [self._line(one) for one in self.lines],
        }

    def _line(self, one: Standing) -> dict[str, Any]:
        assert one.found is not None
        judgement, drift = one.cell.judgement, one.cell.drift
        made = one.replacement
        return {
            "adapter": one.adapter.pk,
            "name": one.adapter.name,
            "live": list(one.use.live),
            "outcome": one.found.outcome.value,
            "why": one.found.why,
            "verdict": judgement.verdict.value,
            "codes": judgement.codes,
            "drift": drift,
            "golden": str(one.golden) if one.golden else "",
            "carried": _against(one.against_carried),
            "retrained": _against(one.against_retrained),
            "replacement": {"adapter": made.pk, "name": made.name} if made else None,
            "evaluations": {
                name: row.pk if (row := getattr(one, name)) else None for name in ("baseline", "carried", "retrained")
            },
            "probe": one.cell.probe.pk if one.cell.probe else None,
            "run": one.run.pk if one.run else None,
            "cost": str(self.cost_of(one)),
        }


def _base(base: BaseModelVersion) -> dict[str, Any]:
    return {"id": base.pk, "name": base.name, "fingerprint": base.fingerprint}


def _against(found: Against | None) -> dict[str, Any] | None:
    return found.as_dict() if found else None


def report(upgrade: Upgrade) -> Report:
    """Of one upgrade: its adapters, with all that is known of them by now."""
    items = list(upgrade.items.select_related("adapter"))
    adapters = [item.adapter for item in items]
    rows = standings(upgrade.old, upgrade.new, adapters=adapters, margin=upgrade.margin)
    return Report(upgrade.old, upgrade.new, upgrade.margin, rows, spent(items))


def pair_report(
    old: BaseModelVersion, new: BaseModelVersion, *, margin: float = domain.MARGIN, rows: Sequence[Standing] = ()
) -> Report:
    """Of all adapters of the old base, whoever ordered what."""
    lines = rows or standings(old, new, margin=margin)
    items = UpgradeItem.objects.filter(upgrade__old=old, upgrade__new=new)
    return Report(old, new, margin, lines, spent(items))


# Money


def spent(items: Iterable[UpgradeItem]) -> Spent:
    """By adapter and part what was booked for work that upgrades have started, and what runs now until this moment."""
    wanted: dict[tuple[str, int], tuple[int, Part]] = {}
    for item in items:
        for part in Part:
            pk = getattr(item, f"{part.value}_id")
            if pk and part in item.asked:
                wanted[LABELS[part], pk] = (item.adapter_id, part)
    found: Spent = {}
    for key, amount in _booked(wanted):
        adapter, part = wanted[key]
        mine = found.setdefault(adapter, {})
        mine[part] = mine.get(part, Decimal(0)) + amount
    return found


def _booked(keys: Iterable[tuple[str, int]]) -> list[tuple[tuple[str, int], Decimal]]:
    by_label: dict[str, list[int]] = {}
    for label, pk in keys:
        by_label.setdefault(label, []).append(pk)
    rows, now = [], database_time()
    for label, pks in by_label.items():
        lines = LedgerEntry.objects.filter(subject_kind=label, subject_id__in=pks)
        rows += [((label, pk), amount) for pk, amount in lines.values_list("subject_id", "amount")]
        running = Attempt.objects.filter(job_label=label, job_id__in=pks, ended_at=None).select_related("project")
        for one in running:
            seconds = one.device_seconds((now - one.started_at).total_seconds())
            price = one.project.hour_price(one.device)
            rows.append(((label, one.job_id), money.amount(money.hours(seconds), price)))
    return rows
