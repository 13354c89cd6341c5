"""The body of making a version by a recipe, and of trying one out."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from datasets_app import selectors
from datasets_app.domain.recipes import Op
from datasets_app.ingest.aside import note_version
from datasets_app.ingest.children import Event, command
from datasets_app.ingest.proposals import drop_proposal
from datasets_app.ingest.versions import commit_version
from datasets_app.models import Build, DatasetVersion, Preview
from projects import artefacts, leases, supervision
from projects.models import Project

ASSEMBLE = [{"op": Op.ASSEMBLE.value}]  # of staged uploads, when nothing else is said


def prepare_build(build: Build, workdir: Path) -> list[str]:
    return command(
        workdir,
        {
            "task": "build",
            **recipe_spec(build.project, build.steps or ASSEMBLE),
            "sources": sources_of(build),
            "parents": [{"diversity": version.stats.get("diversity")} for version in parents_of(build)],
            "golden": [
                {"id": version.pk, "path": str(selectors.version_path(version))}
                for version in selectors.golden_versions(build.project).exclude(dataset=build.dataset)
            ],
            "purpose": build.dataset.purpose,
            "by": build.created_by.email,
            "at": timezone.now().date().isoformat(),
        },
    )


def prepare_preview(preview: Preview, workdir: Path) -> list[str]:
    merged = DatasetVersion.objects.filter(dataset__project=preview.project).in_bulk(merged_ids(preview.steps))
    return command(
        workdir,
        {
            "task": "preview",
            **recipe_spec(preview.project, preview.steps),
            "sources": [source(preview.source), *(source(merged[pk]) for pk in merged_ids(preview.steps))],
            "by": preview.created_by.email,
        },
    )


def complete_preview(preview: Preview, workdir: Path, result: Event) -> None:
    leases.fenced_update(preview, report=result["report"])


def complete_build(build: Build, workdir: Path, result: Event) -> None:
    source_format = build.source.source_format if build.source else _format_of_staged(build)
    version = commit_version(build, workdir, result, source_format=source_format, steps=result["steps"])
    version.parents.set(parents_of(build))
    note_version(build, version)
    leases.fenced_update(build, version=version)


def parents_of(build: Build) -> list[DatasetVersion]:
    return [*([build.source] if build.source else []), *build.merged.all()]


def failed_build(build: Build, code: str) -> None:
    drop_proposal(build)


def after_preview(preview: Preview) -> None:
    shutil.rmtree(supervision.workdir_of(preview) / "out", ignore_errors=True)


def recipe_spec(project: Project, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """What every recipe is followed with; pseudonyms are the same all over a project and guessable by nobody."""
    secret = f"{settings.SECRET_KEY}:pseudonyms:{project.pk}"
    wanted = {pk for step in steps for pk in step.get("golden", [])}
    golden = selectors.golden_versions(project).filter(pk__in=wanted)
    return {
        "steps": steps,
        "salt": hashlib.sha256(secret.encode()).hexdigest(),
        "golden": [{"id": version.pk, "path": str(selectors.version_path(version))} for version in golden],
        "policy": selectors.origin_policy(project),
    }


def sources_of(build: Build) -> list[dict[str, Any]]:
    """In the order in which their rows follow each other."""
    if build.source is None:
        return [
            {
                "path": str(artefacts.fetch_directory(upload.staged_key) / selectors.ROWS_FILE),
                "provenance": upload.provenance,
            }
            for upload in build.staged.order_by("pk")
        ]
    merged = {version.pk: version for version in build.merged.select_related("dataset")}
    return [source(build.source), *(source(merged[pk]) for pk in merged_ids(build.steps))]


def source(version: DatasetVersion) -> dict[str, Any]:
    """The rows, and what was said about the origin of all of them when they were uploaded."""
    upload = getattr(version, "upload", None)
    return {"path": str(selectors.version_path(version)), "provenance": upload.provenance if upload else {}}


def merged_ids(steps: list[dict[str, Any]]) -> list[int]:
    return list(steps[0]["versions"]) if steps and steps[0]["op"] == Op.MERGE else []


def _format_of_staged(build: Build) -> str:
    upload = build.staged.order_by("pk").first()
    return upload.detected_format if upload else ""
