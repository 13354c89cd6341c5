"""Models made of adapters, by the product's own services and stand-ins for the engines."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings

from evaluation import services as evaluating
from evaluation.models import Equivalence
from projects.models import User
from tests.factories.evaluation import make_golden
from tests.factories.projects import run_jobs
from training import services
from training.models import Adapter, DerivedModel

FOLDER = Path(__file__).parent


def use_engines(make: str = "ok", evaluate: str = "equal") -> None:
    """Let the next models be made, and held against their adapter, by the stand-ins in these modes."""
    settings.ENGINES = settings.ENGINES | {
        "training.derived": [sys.executable, str(FOLDER / "derive_engine.py"), make],
        "evaluation.equivalence": [sys.executable, str(FOLDER / "equating_engine.py"), evaluate],
    }


def make_derived(adapter: Adapter, by: User, kind: str = "int8", mode: str = "ok") -> DerivedModel:
    """One as it ended."""
    use_engines(mode)
    row = services.make_derived(adapter, by=by, kind=kind)
    run_jobs()
    return DerivedModel.objects.get(pk=row.pk)


def evaluate(row: DerivedModel, by: User, mode: str = "equal", **fields: Any) -> Equivalence:
    """One evaluation of it as it ended."""
    use_engines(evaluate=mode)
    fields["golden"] = fields.get("golden") or make_golden(row.project, by, rows=200)
    made = evaluating.evaluate_derived(row, by=by, **fields)
    run_jobs()
    return Equivalence.objects.get(pk=made.pk)
