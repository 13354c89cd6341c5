"""Derived models beside their adapter: evaluations, the one that stands, all of an adapter side by side."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from datasets_app.models import DatasetVersion
from evaluation.domain import equivalence
from evaluation.domain.equivalence import Verdict
from evaluation.models import Equivalence
from projects import artefacts
from projects.domain.states import ACTIVE, JobState
from projects.models import Project
from training import selectors as training
from training.models import Adapter, DerivedModel
from training.selectors import Place

ITEMS = "items.jsonl"
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
WRITING = {
    "weights": "Adding the adapter and writing weights",
    "comparing": "Reading it back beside base and adapter",
}


@dataclass(frozen=True)
class Standing:
    """One kind of model of an adapter, with what golden sets say of it. `verdict` None: nobody has measured it."""

    place: Place
    result: Equivalence | None
    at_work: Equivalence | None
    last: Equivalence | None  # the newest, however it ended

    @property
    def row(self) -> DerivedModel | None:
        return self.place.row

    @property
    def verdict(self) -> Verdict | None:
        return verdict_of(self.result) if self.result else None

    @property
    def lead(self) -> dict[str, Any] | None:
        """Figures of the grader that leads."""
        return lead_of(self.result) if self.result else None

    @property
    def failed(self) -> Equivalence | None:
        """The newest, if it failed and nothing newer is at work."""
        return self.last if self.last and self.last.state == JobState.FAILED and not self.at_work else None

    @property
    def written(self) -> dict[str, Any]:
        """How far the making is, in a unit that people read."""
        progress = self.row.progress if self.row else {}
        done, total = float(progress.get("done") or 0), float(progress.get("total") or 0)
        size, unit = next((one for one in UNITS if total >= 10 * one[0]), UNITS[-1])
        words = WRITING.get(str(progress.get("phase")), "")
        return {"label": f"{words}, {unit}", "done": round(done / size), "total": round(total / size)}

    @property
    def proof(self) -> dict[str, Any] | None:
        """What the effect proof of its making found."""
        return next(iter(self.row.proofs.values()), None) if self.row and self.row.is_ready else None


def equivalences(project: Project) -> QuerySet[Equivalence]:
    joined = ("project", "derived__project", "derived__adapter__base", "golden__dataset", "created_by")
    return Equivalence.objects.filter(project=project).select_related(*joined).order_by("-pk")


def lead_of(row: Equivalence) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (row.figures.get("graders") or {}).get(row.figures.get("primary"))
    return found


def verdict_of(row: Equivalence) -> Verdict | None:
    lead = lead_of(row)
    if lead is None or row.state != JobState.SUCCEEDED:
        return None
    return equivalence.verdict(lead, row.figures["primary"], row.figures["margin"])


def side_by_side(adapter: Adapter, golden: DatasetVersion | None = None) -> list[Standing]:
    """All kinds in their order, each with its newest result: on one golden set, so that they can be compared."""
    rows = list(equivalences(adapter.project).filter(derived__adapter=adapter))
    golden_id = golden.pk if golden else _latest_golden(rows)
    return [_standing(place, rows, golden_id) for place in training.derived_of(adapter)]


def _latest_golden(rows: list[Equivalence]) -> int | None:
    return next((row.golden_id for row in rows if row.state == JobState.SUCCEEDED), None)


def _standing(place: Place, rows: list[Equivalence], golden: int | None) -> Standing:
    mine = [one for one in rows if place.row and one.derived_id == place.row.pk]
    results = [
        one
        for one in mine
        if one.state == JobState.SUCCEEDED and one.golden_id == golden and place.row
        and one.digest_of_model == place.row.digest
    ]  # fmt: skip
    at_work = next((one for one in mine if JobState(one.state) in ACTIVE), None)
    return Standing(place, next(iter(results), None), at_work, next(iter(mine), None))


def standing(row: DerivedModel) -> Standing:
    """One of them."""
    return next(one for one in side_by_side(row.adapter) if one.row and one.row.pk == row.pk)


def has_result(row: DerivedModel, golden: DatasetVersion, margin: float) -> bool:
    """Whether these very bytes were held against the adapter on it, or are about to be."""
    found = row.equivalences.filter(golden=golden, digest_of_model=row.digest)
    return any(
        JobState(one.state) in ACTIVE or (one.state == JobState.SUCCEEDED and one.settings["margin"] == margin)
        for one in found
    )


def both_answers(row: Equivalence) -> list[dict[str, Any]]:
    """Every golden row with both answers, from the files whose hash is on its row."""
    if not row.key:
        return []
    place = artefacts.fetch_directory(row.key, verify=False)
    artefacts.check_directory(place, row.manifest)
    with (place / ITEMS).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def equivalence_cost(row: Equivalence) -> Decimal:
    lines = row.project.ledger.filter(subject_kind="evaluation.equivalence", subject_id=row.pk)
    return sum((line.amount for line in lines), Decimal(0))
