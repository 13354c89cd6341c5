"""Which adapters were trained on erased rows, what could replace each, and how far that is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from datasets_app.models import DatasetVersion
from projects import lineage
from projects.contributions import Brief
from projects.domain.staleness import Cause, Mark
from projects.models import Project
from training.domain import retraining
from training.domain.retraining import Known, Task
from training.models import Adapter, Run
from training.selectors.adapters import adapters as all_adapters


@dataclass(frozen=True)
class Retraining:
    """One adapter with erased rows behind it. `version` is the data without them, `run` the newest that replaces it."""

    adapter: Adapter
    marks: tuple[Mark, ...]
    state: Task
    told: str
    version: DatasetVersion | None
    run: Run | None
    parent: Adapter | None
    live: tuple[Brief, ...]

    @property
    def word(self) -> str:
        return retraining.WORDS[self.state]

    @property
    def tone(self) -> str:
        return retraining.TONES[self.state]

    @property
    def may_begin(self) -> bool:
        return self.state in {Task.OPEN, Task.FAILED}

    @property
    def replacement(self) -> Adapter | None:
        return getattr(self.run, "adapter", None) if self.state == Task.DONE else None


class _Scene:
    """What is read once for all adapters of a project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.whole = lineage.whole(project)
        self.erased: Mapping[str, tuple[Mark, ...]] = {
            node: found
            for node, marks in self.whole.stale.items()
            if (found := tuple(mark for mark in marks if mark.code == Cause.ERASED))
        }

    @cached_property
    def adapters(self) -> list[Adapter]:
        return list(all_adapters(self.project).filter(pk__in=lineage.numbers(self.erased, "adapter")))

    @cached_property
    def runs(self) -> Mapping[int, list[Run]]:
        """Runs over data without the rows that were started to replace one of them, by its number, the newest first."""
        pks = [adapter.pk for adapter in self.adapters]
        rows = Run.objects.filter(project=self.project, launched_with__replaces__adapter__in=pks).order_by("-pk")
        found: dict[int, list[Run]] = {}
        for run in rows.select_related("project", "adapter__project"):
            if f"run:{run.pk}" not in self.erased:
                found.setdefault(run.launched_with["replaces"]["adapter"], []).append(run)
        return found

    @cached_property
    def clean(self) -> Mapping[int, DatasetVersion]:
        """The newest version without the rows of each dataset."""
        sets = {adapter.dataset_version.dataset_id for adapter in self.adapters if adapter.dataset_version}
        rows = DatasetVersion.objects.filter(dataset__in=sets).select_related("dataset__project").order_by("number")
        return {row.dataset_id: row for row in rows if f"version:{row.pk}" not in self.erased}

    def parent_of(self, adapter: Adapter) -> tuple[Adapter | None, str]:
        """What a new run would go on from; or the name of the adapter that has to be replaced before."""
        parent = adapter.parent
        if parent is None or f"adapter:{parent.pk}" not in self.erased:
            return parent, ""
        made = [run for run in self.runs.get(parent.pk, []) if run.state == "succeeded" and hasattr(run, "adapter")]
        return (made[0].adapter, "") if made else (None, str(parent))

    def task(self, adapter: Adapter) -> Retraining:
        runs = self.runs.get(adapter.pk, [])
        dataset = adapter.dataset_version.dataset_id if adapter.dataset_version else None
        version = self._own_or_newest(adapter, dataset)
        parent, waits_for = self.parent_of(adapter)
        known = Known(adapter.run is not None, version is not None, waits_for, [run.state for run in runs])
        state, told = retraining.judge(known)
        done = next((run for run in runs if run.state == "succeeded"), None)
        live = lineage.impact(self.project, f"adapter:{adapter.pk}", known=self.whole).live
        marks = self.erased[f"adapter:{adapter.pk}"]
        newest = done or (runs[0] if runs else None)
        return Retraining(adapter, marks, state, told, version, newest, parent, tuple(live))

    def _own_or_newest(self, adapter: Adapter, dataset: int | None) -> DatasetVersion | None:
        """Its own data where only what it went on from had the rows."""
        own = adapter.dataset_version
        if own is not None and f"version:{own.pk}" not in self.erased:
            return own
        return self.clean.get(dataset or 0)


def retrainings(project: Project) -> list[Retraining]:
    """Everything that was trained on erased rows, what is still to be done first; nothing is walked without a cause."""
    if not project.withdrawals.filter(cause=Cause.ERASED, lifted_at=None).exists():
        return []
    scene = _Scene(project)
    order = list(Task)
    return sorted(map(scene.task, scene.adapters), key=lambda one: (order.index(one.state), -one.adapter.pk))


def retraining_of(adapter: Adapter) -> Retraining | None:
    return next((one for one in retrainings(adapter.project) if one.adapter.pk == adapter.pk), None)


def validation_again(old: Run, version: DatasetVersion) -> DatasetVersion | None:
    """What a run was looked at with, for one that repeats it over `version`; None where it may not be used any more."""
    held_out = old.validation_version
    if held_out is None or held_out.content_hash == version.content_hash:
        return None
    marks = lineage.stale(old.project, f"version:{held_out.pk}").get(f"version:{held_out.pk}", [])
    return None if any(mark.decided for mark in marks) else held_out


def undone(found: Collection[Retraining]) -> list[Retraining]:
    return [one for one in found if one.state in retraining.UNDONE]
