"""The body of making a version by a recipe."""

from pathlib import Path

from datasets_app import selectors
from datasets_app.ingest.children import Event, command
from datasets_app.ingest.versions import commit_version
from datasets_app.models import Build
from projects import leases


def prepare_build(build: Build, workdir: Path) -> list[str]:
    assert build.source is not None
    wanted = {pk for step in build.steps for pk in step.get("golden", [])}
    golden = selectors.golden_versions(build.project).filter(pk__in=wanted)
    spec = {
        "task": "build",
        "source": str(selectors.version_path(build.source)),
        "steps": build.steps,
        "golden": [{"id": version.pk, "path": str(selectors.version_path(version))} for version in golden],
        "purpose": build.dataset.purpose,
    }
    return command(workdir, spec)


def complete_build(build: Build, workdir: Path, result: Event) -> None:
    assert build.source is not None
    version = commit_version(build, workdir, result, source_format=build.source.source_format, steps=result["steps"])
    version.parents.add(build.source)
    leases.fenced_update(build, version=version)
