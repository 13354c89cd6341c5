"""Reads of derived models: those of an adapter, what making one takes, where the files lie."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.utils.text import slugify

from projects import artefacts
from projects.domain import money
from projects.domain.errors import Refused
from projects.domain.states import JobState
from projects.models import Project
from training.domain import anatomy, derived, model_card
from training.domain.derived import Kind, Stored
from training.models import Adapter, BaseModelVersion, DerivedModel
from training.selectors.compatibility import described
from training.selectors.projections import likely_place

EARLIER = 50


@dataclass(frozen=True)
class Place:
    """One kind of model of an adapter: what is there of it, or what making it takes."""

    kind: Kind
    row: DerivedModel | None
    projection: dict[str, Any]

    @property
    def may_be_made(self) -> bool:
        return self.row is None or self.row.state in {JobState.FAILED, JobState.CANCELLED}


def derived_models(project: Project) -> QuerySet[DerivedModel]:
    joined = ("project", "adapter__project", "adapter__base", "adapter__run", "adapter__imported", "created_by")
    return project.derived_models.select_related(*joined, "adapter__dataset_version__dataset").order_by("-pk")


def derived_of(adapter: Adapter) -> list[Place]:
    """The three kinds in their order."""
    rows = {row.kind: row for row in derived_models(adapter.project).filter(adapter=adapter)}
    return [Place(kind, rows.get(kind.value), _projected(adapter, kind, rows.get(kind.value))) for kind in Kind]


def _projected(adapter: Adapter, kind: Kind, row: DerivedModel | None) -> dict[str, Any]:
    return row.projection if row and row.projection else derive_projection(adapter, kind)


def derive_projection(adapter: Adapter, kind: Kind) -> dict[str, Any]:
    """Bytes, seconds and money, P10, P50 and P90, from what earlier ones took on the same kind of device."""
    base, where = adapter.base, likely_place()
    done = DerivedModel.objects.filter(state=JobState.SUCCEEDED, device__startswith=where.device).order_by("-pk")
    earlier = [
        (size, float(told.get("seconds") or 0))
        for size, told in done.values_list("adapter__base__size_bytes", "told")[:EARLIER]
        if told.get("seconds")
    ]
    found = derived.needs(base.size_bytes, _size(base, kind), earlier)
    price = adapter.project.hour_price(where.device)
    names = ("p10", "p50", "p90")
    return {
        "device": where.device,
        "size_bytes": found.size_bytes,
        "disk_bytes": found.disk_bytes,
        "seconds": dict(zip(names, found.seconds, strict=True)),
        "money": {
            name: str(money.amount(money.hours(seconds), price))
            for name, seconds in zip(names, found.seconds, strict=True)
        },
        "currency": adapter.project.currency,
        "measured": found.measured,
    }


def _size(base: BaseModelVersion, kind: Kind) -> int:
    """From the shapes of the base, where they were recorded; else by the share that linear layers usually have."""
    width = max(1, round(base.size_bytes / base.parameters)) if base.parameters else 2
    dtype = {4: "F32", 8: "F64"}.get(width, "BF16")
    shapes = anatomy.unfold(described(base).anatomy.get("tensors", {}))
    if not shapes:
        return derived.expected_bytes(base.size_bytes, 0.85, kind, width)
    return sum(derived.sizes(name, Stored(dtype, shape), kind) for name, shape in shapes.items())


def derived_path(row: DerivedModel) -> Path:
    """A local directory with the model's files, each checked against the manifest of the row."""
    if not row.is_ready:
        raise Refused(f"{row} is not made yet.", code="not_made")
    place = artefacts.fetch_directory(row.key, verify=False)
    artefacts.check_directory(place, row.manifest)  # the row's own copy: a manifest on disk can be swapped
    return place


def derived_file(row: DerivedModel, name: str) -> Path:
    """One file of it, checked against the manifest of the row."""
    if not row.is_ready:
        raise Refused(f"{row} is not made yet.", code="not_made")
    place = artefacts.fetch_directory(row.key, verify=False)
    artefacts.check_directory(place, {"files": {name: row.manifest["files"][name]}})
    return place / name


def derived_cost(row: DerivedModel) -> Decimal:
    """What making it has cost: all attempts, also those that failed."""
    lines = row.project.ledger.filter(subject_kind="training.derived", subject_id=row.pk)
    return sum((line.amount for line in lines), Decimal(0))


def file_name(row: DerivedModel) -> str:
    return slugify(str(row)) or f"model-{row.pk}"


def card_datasets(adapter: Adapter) -> list[str]:
    """What it was trained on, as a card names it."""
    version = adapter.dataset_version
    return [model_card.dataset_name(str(version))] if version else []
