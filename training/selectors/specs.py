"""Runs in the words of other tools, and what a spec of theirs means in a project: which base, data and adapter."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from datasets_app.models import DatasetVersion
from projects.models import Project
from training.domain import dialects
from training.domain.dialects import About, Reading, Written
from training.models import Adapter, BaseModelVersion, Run
from training.selectors.adapters import adapters
from training.selectors.bases import ready_bases
from training.selectors.projections import trainable_versions

LOOKED_THROUGH = 1000


@dataclass(frozen=True)
class Part:
    """Something that a spec names: what it wanted, what was found here, and what to do where nothing was."""

    name: str
    wanted: str
    found: Any
    text: str

    @property
    def pk(self) -> int | None:
        return self.found.pk if self.found is not None else None


@dataclass(frozen=True)
class Understood:
    """A spec as this project can follow it."""

    reading: Reading
    parts: tuple[Part, ...]

    def pk(self, name: str) -> int | None:
        return next((part.pk for part in self.parts if part.name == name), None)

    def names(self, name: str) -> bool:
        """Whether the spec names such a part at all, found or not."""
        return any(part.name == name for part in self.parts)


def about(run: Run) -> About:
    base, version, parent, held_out = run.base, run.dataset_version, run.parent_adapter, run.validation_version
    return About(
        name=run.name,
        base=base.repo_id or base.name,
        revision=base.revision,
        fingerprint=base.fingerprint,
        data=str(version),
        content_hash=version.content_hash,
        rows=version.rows,
        kind=version.kind,
        parent=parent.name if parent else "",
        parent_digest=parent.digest if parent else "",
        validation=str(held_out) if held_out else "",
        validation_hash=held_out.content_hash if held_out else "",
    )


def written(run: Run, tool: str) -> Written:
    """A run or a draft as the spec of a tool."""
    return dialects.write(tool, run.read_recipe, about(run))


def understood(project: Project, reading: Reading) -> Understood:
    """Look up what the spec names. What is not here is said, never replaced by something else."""
    parts = []
    if reading.base or reading.fingerprint:
        parts.append(_base(project, reading))
    if reading.data or reading.content_hash:
        parts.append(_data(project, "dataset_version", reading.data, reading.content_hash))
    if reading.validation or reading.validation_hash:
        parts.append(_data(project, "validation_version", reading.validation, reading.validation_hash))
    if reading.parent:
        parts.append(_parent(project, reading.parent))
    return Understood(reading, tuple(parts))


def _base(project: Project, reading: Reading) -> Part:
    known = list(ready_bases(project)[:LOOKED_THROUGH])
    named = [base for base in known if reading.base and reading.base in {base.repo_id, base.name}]
    exact = [base for base in known if reading.fingerprint and base.fingerprint == reading.fingerprint]
    pinned = [base for base in named if reading.revision and base.revision == reading.revision]
    last = reading.base.rstrip("/").rpartition("/")[2]
    alike = [base for base in known if last and last == (base.repo_id or base.name).rpartition("/")[2]]
    found: BaseModelVersion | None = next(iter([*exact, *pinned, *named, *alike]), None)
    wanted = reading.base or reading.fingerprint[:12]
    if found is None:
        return Part("base", wanted, None, f"No base here is called so. {_there(known)} Register it, or choose another.")
    if exact or pinned:
        return Part("base", wanted, found, f"{found}, the very same version.")
    pin = reading.revision not in ("", "main", found.revision)
    if reading.fingerprint or pin:
        asked = reading.fingerprint[:8] or reading.revision
        return Part("base", wanted, found, f"{found}, but of another version than {asked}: results can differ.")
    return Part("base", wanted, found, f"{found}, fingerprint {found.fingerprint[:8]}.")


def _data(project: Project, part: str, name: str, content_hash: str) -> Part:
    known = list(trainable_versions(project)[:LOOKED_THROUGH])
    last = name.rpartition("/")[2].rpartition(".")[0] or name.rpartition("/")[2]
    same = [one for one in known if content_hash and one.content_hash == content_hash]
    named = [one for one in known if name and name in {str(one), one.dataset.name}]
    alike = [one for one in known if last and last == one.dataset.name]
    found: DatasetVersion | None = next(iter([*same, *named, *alike]), None)
    wanted = name or content_hash[:12]
    if found is None:
        kind = "training" if part == "dataset_version" else "validation"
        return Part(part, wanted, None, f"No {kind} data here is called so. Choose or bring it.")
    if same:
        return Part(part, wanted, found, f"{found}, the very same rows.")
    if content_hash:
        return Part(part, wanted, found, f"{found}, but with other rows than the spec was written for.")
    return Part(part, wanted, found, f"{found}, its newest version." if not named else f"{found}.")


def _parent(project: Project, name: str) -> Part:
    found: Adapter | None = adapters(project).filter(name=name).first()
    text = f"{found}." if found else "No adapter here is called so. Import it first, or begin a new one."
    return Part("parent", name, found, text)


def _there(bases: Iterable[BaseModelVersion]) -> str:
    names = [str(base) for base in bases]
    return f"There is {', '.join(names[:5])}." if names else "There is none yet."
