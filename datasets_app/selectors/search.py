"""What a search for a person's text has found, and everything that was made of it."""

import json
from dataclasses import dataclass
from typing import Any

from datasets_app.domain.codes import HOPELESS
from datasets_app.models import BadRow, DatasetVersion, TextSearch, Upload
from projects import lineage
from projects.contributions import Node
from projects.models import Project

# What grew out of data, in the order in which a deletion request asks for it.
AFTERWARDS = {"run": "Runs", "adapter": "Adapters", "evaluation": "Evaluations", "deployment": "Deployments"}


@dataclass(frozen=True)
class Match:
    version: DatasetVersion
    rows: int
    first: list[int]
    newest: bool  # of its dataset: what would be trained on next


def matches(search: TextSearch) -> list[Match]:
    """Versions that hold the text, newest first; those deleted since are gone from the answer too."""
    versions = DatasetVersion.every.filter(dataset__project=search.project).select_related("dataset__project")
    known = versions.in_bulk([match["version"] for match in search.matches])
    newest = {
        latest.dataset_id: latest.pk
        for latest in DatasetVersion.objects.filter(dataset__project=search.project).order_by("number")
    }
    return [
        Match(known[m["version"]], m["rows"], m["first"], newest.get(known[m["version"]].dataset_id) == m["version"])
        for m in search.matches
        if m["version"] in known
    ]


def stored_files(project: Project) -> list[Upload]:
    """The first upload of every stored file: other readings of it share its bytes."""
    hopeless = [code.value for code in HOPELESS]
    first: dict[str, Upload] = {}
    for upload in Upload.objects.filter(project=project, forgotten_at=None).order_by("pk"):
        if upload.error_code not in hopeless or Upload.objects.filter(key=upload.key).exclude(pk=upload.pk).exists():
            first.setdefault(upload.key, upload)
    return list(first.values())


def quoting(project: Project, text: str) -> list[int]:
    """Uploads whose page quotes the text though the file itself was not kept: in first rows, or of what was found."""
    gone = Upload.objects.filter(project=project, forgotten_at=None, error_code__in=[code.value for code in HOPELESS])
    quoted = set(BadRow.objects.filter(upload__in=gone, found__icontains=text).values_list("upload", flat=True))
    wanted = text.casefold()
    quoted |= {one.pk for one in gone if wanted in json.dumps([one.samples, one.head], ensure_ascii=False).casefold()}
    return sorted(quoted)


def files_found(search: TextSearch) -> tuple[list[Upload], list[Upload]]:
    """Uploads that hold the text, and uploads that could not be read; those forgotten since are left out."""
    known = Upload.objects.filter(project=search.project, forgotten_at=None).select_related("dataset", "version")
    by_id = known.in_bulk([*search.files, *search.unread])
    return [by_id[pk] for pk in search.files if pk in by_id], [by_id[pk] for pk in search.unread if pk in by_id]


def descendants(project: Project, versions: set[int]) -> dict[str, list[Node]]:
    """Everything that descends from these versions, by kind: through adapters that were trained on, too."""
    found = lineage.impact(project, *(f"version:{pk}" for pk in sorted(versions)))
    full = lineage.nodes(project, [brief.id for briefs in found.by_kind.values() for brief in briefs])
    return {kind: [full[b.id] for b in briefs if b.id in full] for kind, briefs in found.by_kind.items()}


def answer_lines(search: TextSearch) -> list[dict[str, Any]]:
    """The answer to a deletion request as rows of a table: what, where, how much, in which state."""
    found = matches(search)
    lines = [
        {
            "kind": "version",
            "name": str(m.version),
            "rows": m.rows,
            "state": m.version.stage,
            "url": m.version.get_absolute_url(),
        }
        for m in found
    ]
    lines += [
        {"kind": "uploaded file", "name": u.file_name, "rows": "", "state": "stored", "url": u.get_absolute_url()}
        for u in files_found(search)[0]
    ]
    for kind, nodes in descendants(search.project, {m.version.pk for m in found}).items():
        if kind in ("dataset", "golden", "retention"):
            continue
        lines += [{"kind": kind, "name": n.label, "rows": "", "state": n.state, "url": n.url} for n in nodes]
    return lines
