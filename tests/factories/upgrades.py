"""Adapters of an old base and a version that follows it, for tests of upgrades: real rows, stand-in engines."""

from typing import Any

from django.conf import settings

from datasets_app.models import DatasetVersion
from deployments import services
from deployments.models import Upgrade
from evaluation.models import Evaluation
from projects import reconciler
from projects.models import Project, User
from tests.factories import compatibility, datasets, evaluation
from tests.factories import deployments as stored
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training.models import Adapter, AdapterAnatomy, BaseModelVersion, Run

REASON = "The provider ends the old version; see ticket 214."


class Family:
    """A project with an old base, adapters on it that are judged on a golden set, and the version that follows."""

    def __init__(self, adapters: int = 2, *, judged: bool = True, golden_rows: int = 80, **change: Any) -> None:
        self.project: Project = change.pop("project", None) or make_project()
        self.by: User = make_member(self.project)
        self.old: BaseModelVersion = compatibility.make_version(self.project, self.by)
        self.data = datasets.make_version(project=self.project, by=self.by, rows=datasets.tickets(20, start=1_000))
        self.adapters: list[Adapter] = [
            factory.make_adapter(self.project, self.by, base=self.old, version=self.data) for _ in range(adapters)
        ]
        self.golden: DatasetVersion = evaluation.make_golden(self.project, self.by, rows=golden_rows)
        self.new: BaseModelVersion = compatibility.make_version(self.project, self.by, **({"fill": 7} | change))
        services.declare_successor(self.old, by=self.by, new=self.new)
        if judged:
            for adapter in self.adapters:
                self.judge(adapter)

    def judge(self, adapter: Adapter, mode: str = "better") -> Evaluation:
        return evaluation.run_evaluation(adapter, mode=mode, golden=self.golden, by=self.by)

    def order(self, *steps: str, **fields: Any) -> Upgrade:
        """As it was ordered; nothing has moved yet."""
        by = fields.pop("by", self.by)
        fields = {"reason": REASON} | fields
        return services.start_upgrade(self.old, by=by, new=self.new, steps=steps, **fields)

    def run(self, *steps: str, **fields: Any) -> Upgrade:
        """As it ended."""
        return finish(self.order(*steps, **fields))


class QuickFamily(Family):
    """The same from rows alone: nothing was hashed, trained or asked; only the golden set and what is ordered are."""

    def __init__(self, adapters: int = 2, *, judged: bool = True, **change: Any) -> None:
        self.project = change.pop("project", None) or make_project()
        self.by = make_member(self.project)
        first, self.new = compatibility.make_quick_pair(self.project, self.by)
        self.old, self.adapters = first.base, [first]
        for _ in range(adapters - 1):
            adapter = stored.make_adapter(self.project, self.by, dataset_version=first.dataset_version)
            spec = adapter.run.spec | {"base": {"fingerprint": self.old.fingerprint}}
            Run.objects.filter(pk=adapter.run_id).update(base=self.old, spec=spec)
            Adapter.objects.filter(pk=adapter.pk).update(base=self.old)
            AdapterAnatomy.objects.create(adapter=adapter, facts=first.anatomy.facts)
            self.adapters.append(Adapter.objects.get(pk=adapter.pk))
        self.golden = evaluation.make_golden(self.project, self.by, rows=80)
        if change.get("declared", True):
            services.declare_successor(self.old, by=self.by, new=self.new)
        for adapter in self.adapters if judged else []:
            stored.make_evaluation(adapter, golden=self.golden)
        Evaluation.objects.filter(project=self.project).update(graders=["exact_match"])


def engines(probe: str = "drifted", judged: str = "better", trained: str = "ok") -> None:
    """What the stand-ins do from now on."""
    compatibility.use_engine(probe)
    evaluation.use_engine(judged)
    settings.ENGINES["training.run"] = factory.fake_engine(trained)


def finish(upgrade: Upgrade, turns: int = 30) -> Upgrade:
    for _ in range(turns):
        reconciler.sweep()
        upgrade.refresh_from_db()
        if upgrade.is_over:
            return upgrade
        run_jobs()
    raise AssertionError(f"{upgrade} does not end: {upgrade.state}, {upgrade.waiting}")
