"""Evaluations for tests: started by the product's own service and driven by a stand-in engine that grades for real."""

import json
import sys
from pathlib import Path
from typing import Any

from django.conf import settings

from datasets_app.models import DatasetVersion
from evaluation import services
from evaluation.models import Evaluation
from projects.models import Project, User
from tests.factories.datasets import make_version, tickets
from tests.factories.deployments import make_adapter
from tests.factories.projects import make_member, make_project, run_jobs
from training.models import Adapter

ENGINE = Path(__file__).with_name("evaluation_engine.py")
GENERAL = [{"text": f"The weather report number {n} promises rain in the north."} for n in range(20)]


def use_engine(mode: str = "better") -> None:
    """Let the next evaluations be answered by the stand-in in this mode. Tests restore settings by their fixture."""
    settings.ENGINES = settings.ENGINES | {"evaluation.evaluation": [sys.executable, str(ENGINE), mode]}


def make_golden(project: Project, by: User, rows: int = 40, **fields: Any) -> DatasetVersion:
    return make_version(project=project, by=by, purpose="golden", rows=fields.get("content") or tickets(rows))


def make_retention(project: Project, by: User) -> DatasetVersion:
    return make_version(project=project, by=by, purpose="retention", rows=GENERAL)


def make_ready_adapter(project: Project | None = None, by: User | None = None) -> Adapter:
    """An adapter whose base lies where the worker looks for it."""
    project = project or make_project()
    by = by or make_member(project)
    trained_on = make_version(project=project, by=by, rows=tickets(20, start=1_000))
    adapter = make_adapter(project, by, dataset_version=trained_on)
    folder = Path(settings.MODELS_DIR) / adapter.base.path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return adapter


def queue_evaluation(adapter: Adapter | None = None, by: User | None = None, **fields: Any) -> Evaluation:
    adapter = adapter or make_ready_adapter()
    by = by or make_member(adapter.project)
    fields["golden"] = fields.get("golden") or make_golden(adapter.project, by)
    return services.start_evaluation(adapter, by=by, **fields)


def run_evaluation(adapter: Adapter | None = None, *, mode: str = "better", **fields: Any) -> Evaluation:
    """An evaluation as it ended."""
    use_engine(mode)
    evaluation = queue_evaluation(adapter, **fields)
    run_jobs()
    evaluation.refresh_from_db()
    return evaluation
