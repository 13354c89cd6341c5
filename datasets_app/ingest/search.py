"""The body of looking for a person's text in every version of a project."""

import shutil
from pathlib import Path

from datasets_app import selectors
from datasets_app.ingest.children import Event, command
from datasets_app.models import DatasetVersion, TextSearch
from projects import leases, supervision


def prepare_search(search: TextSearch, workdir: Path) -> list[str]:
    """All versions, the proposed and the declined too: what lies in the store can be asked for."""
    versions = DatasetVersion.every.filter(dataset__project=search.project).select_related("dataset").order_by("-pk")
    return command(
        workdir,
        {
            "task": "search",
            "text": search.text,
            "versions": [{"id": version.pk, "path": str(selectors.version_path(version))} for version in versions],
        },
    )


def complete_search(search: TextSearch, workdir: Path, result: Event) -> None:
    leases.fenced_update(search, matches=result["matches"])


def after_search(search: TextSearch) -> None:
    """Nothing of the text stays in the folder of the child."""
    shutil.rmtree(supervision.workdir_of(search), ignore_errors=True)
