"""Adapters × base versions: what structure and probes say of each pair, and who answers for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from evaluation.domain import drift
from evaluation.models import Probe
from projects import artefacts
from projects.domain.states import ACTIVE, JobState
from projects.models import Project
from training import selectors as training
from training.domain.compatibility import Judgement, Verdict
from training.models import Adapter, BaseDecision, BaseModelVersion

READINGS = "readings.jsonl"
MOST_BASES = 12  # columns of the matrix


@dataclass(frozen=True)
class Cell:
    """One adapter on one base version."""

    adapter: Adapter
    base: BaseModelVersion
    structure: Judgement
    judgement: Judgement
    probe: Probe | None = None
    at_work: Probe | None = None
    decision: BaseDecision | None = None

    @property
    def is_same(self) -> bool:
        return self.judgement.verdict == Verdict.SAME

    @property
    def is_own(self) -> bool:
        return self.adapter.base_id == self.base.pk

    @property
    def drift(self) -> dict[str, float] | None:
        """Mean and interval, where it was measured."""
        return self.probe.figures["adapter"] if self.probe else None

    @property
    def may_be_probed(self) -> bool:
        return self.structure.may_be_probed and self.base.is_ready and self.adapter.base.is_ready


def probes(project: Project) -> QuerySet[Probe]:
    joined = ("project", "adapter__base", "base", "golden__dataset", "created_by")
    return Probe.objects.filter(project=project).select_related(*joined).order_by("-pk")


def newest_probe(adapter: Adapter, base: BaseModelVersion) -> Probe | None:
    return probes(adapter.project).filter(adapter=adapter, base=base, state=JobState.SUCCEEDED).first()


def bases_of_matrix(project: Project) -> list[BaseModelVersion]:
    """The newest versions that are ready, the newest first."""
    return list(training.ready_bases(project).select_related("anatomy", "project")[:MOST_BASES])


def cells(
    project: Project, adapters: Sequence[Adapter], bases: Sequence[BaseModelVersion]
) -> list[tuple[Adapter, list[Cell]]]:
    """Rows of the matrix; five queries, however many pairs."""
    whole = Adapter.objects.filter(pk__in=[one.pk for one in adapters]).select_related(
        "project", "run", "imported", "base__anatomy", "anatomy"
    )
    by_pk = {one.pk: one for one in whole}
    found = probes(project).filter(adapter__in=by_pk, base__in=bases)
    done: dict[tuple[int, int], Probe] = {}
    active: dict[tuple[int, int], Probe] = {}
    for probe in found:
        pair = (probe.adapter_id, probe.base_id)
        if probe.state == JobState.SUCCEEDED:
            done.setdefault(pair, probe)
        elif JobState(probe.state) in ACTIVE:
            active.setdefault(pair, probe)
    decided = training.standing_decisions(project, by_pk.values())
    rows = []
    for adapter in (by_pk[one.pk] for one in adapters):
        pairs = [(base, (adapter.pk, base.pk)) for base in bases]
        rows.append((adapter, [_cell(adapter, b, done.get(p), active.get(p), decided.get(p)) for b, p in pairs]))
    return rows


def cell(adapter: Adapter, base: BaseModelVersion) -> Cell:
    """One of them."""
    return cells(adapter.project, [adapter], [base])[0][1][0]


def _cell(
    adapter: Adapter, base: BaseModelVersion, probe: Probe | None, at_work: Probe | None, decision: BaseDecision | None
) -> Cell:
    structure = training.structure(adapter, base)
    judgement = drift.together(structure, probe.figures if probe else None)
    return Cell(adapter, base, structure, judgement, probe, at_work, decision)


def otherwise(adapter: Adapter, base: BaseModelVersion) -> Cell | None:
    """What has to be said of a result of an adapter on this base; None when it is the one it was trained on."""
    if adapter.base.fingerprint == base.fingerprint:
        return None
    return cell(adapter, base)


def readings(probe: Probe) -> list[dict[str, Any]]:
    """What a probe read of each prompt, from the files whose hash is on its row."""
    if not probe.key:
        return []
    place = artefacts.fetch_directory(probe.key)
    artefacts.check_directory(place, probe.manifest)
    with (place / READINGS).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
