"""The body of looking for a person's text in every version and every uploaded file of a project."""

import shutil
from pathlib import Path

from datasets_app import selectors
from datasets_app.ingest.children import Event, command
from datasets_app.models import DatasetVersion, TextSearch, Upload
from projects import artefacts, leases, supervision


def prepare_search(search: TextSearch, workdir: Path) -> list[str]:
    """All versions, the proposed and the declined too: what lies in the store can be asked for."""
    versions = DatasetVersion.every.filter(dataset__project=search.project).select_related("dataset").order_by("-pk")
    return command(
        workdir,
        {
            "task": "search",
            "text": search.text,
            "versions": [{"id": version.pk, "path": str(selectors.version_path(version))} for version in versions],
            "files": [
                {"id": upload.pk, "name": upload.file_name, "paths": _paths(upload)}
                for upload in selectors.stored_files(search.project)
            ],
        },
    )


def _paths(upload: Upload) -> list[str]:
    """Where its bytes lie; nowhere when they are missing, which the answer says."""
    try:
        return [str(path) for path in artefacts.local_files(upload.key)]
    except artefacts.ArtefactDamaged:
        return []


def complete_search(search: TextSearch, workdir: Path, result: Event) -> None:
    """What pages quote of files that are not kept is looked through here, where the database is."""
    files = sorted({*result["files"], *selectors.quoting(search.project, search.text)}, reverse=True)
    leases.fenced_update(search, matches=result["matches"], files=files, unread=result["unread"])


def after_search(search: TextSearch) -> None:
    """Nothing of the text stays in the folder of the child."""
    shutil.rmtree(supervision.workdir_of(search), ignore_errors=True)
