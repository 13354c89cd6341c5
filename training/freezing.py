"""What a run is when it starts: its spec, frozen, and what was known and accepted."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from datasets_app.models import DatasetVersion
from training import selectors
from training.domain import tokens
from training.domain.recipe import Recipe
from training.domain.spec import BaseRef, DataRef, ParentRef, RunSpec
from training.engine.versions import packages
from training.models import Adapter, Rehearsal, Run


def freeze(run: Run | Rehearsal, recipe: Recipe) -> RunSpec:
    base, parent, held_out = run.base, run.parent_adapter, getattr(run, "validation_version", None)
    return RunSpec(
        label=run.name,
        base=BaseRef(base.repo_id or base.name, base.fingerprint, base.parts, base.revision, base.licence),
        data=_data(run.dataset_version),
        validation=_data(held_out) if held_out else None,
        recipe=recipe,
        parent=ParentRef(str(parent), parent.digest) if parent else None,
        packages=packages(),
    )


def _data(version: DatasetVersion) -> DataRef:
    return DataRef(str(version), version.content_hash, version.rows, version.kind)


def known_at_start(
    run: Run, stats: Mapping[str, Any], recipe: Recipe, replaces: Adapter | None = None
) -> dict[str, Any]:
    """What whoever started it could see: the decision about rows, and rows shared with golden sets."""
    other = selectors.other_base(run)
    decided: dict[str, Any] = {"base_decision": other.decision.as_dict()} if other and other.decision else {}
    shared = selectors.shared_rows(run)
    if shared is not None and shared.total:
        decided["shared_with_validation"] = shared.total
    if replaces is not None:
        decided["replaces"] = {"adapter": replaces.pk, "name": replaces.name, "base": str(replaces.base)}
    return decided | {
        "cut": recipe.cut,
        "rows_cut": stats["cut"],
        "answers_cut": stats["answers_cut"],
        "parent_findings": run.parent_adapter.findings if run.parent_adapter else [],
        "rows_left_out": tokens.rows_lost(stats, recipe.cut),
        "unshowable": stats["unshowable"],
        "overlaps": [
            {"golden": str(row.golden_version), "exact": row.exact, "normalised": row.normalised, "total": row.total}
            for row in selectors.overlaps(run.dataset_version)
        ],
        "at": timezone.now().isoformat(),
    }
