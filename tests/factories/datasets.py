"""Datasets for tests, made by the product's own services and read by the real child process."""

import json
from itertools import count
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from datasets_app import services
from datasets_app.models import Dataset, DatasetVersion, Upload
from projects.models import Project, User
from tests.factories.projects import make_member, make_project, run_jobs

_n = count(1)
QUEUES = ("billing", "access", "network", "hardware", "software")


def chat(question: str, answer: str, system: str = "") -> dict[str, Any]:
    turns = [{"role": "system", "content": system}] if system else []
    return {"messages": [*turns, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def tickets(rows: int = 60, start: int = 0) -> list[dict[str, Any]]:
    """Distinct support tickets with their queue as JSON, the five queues in turn."""
    return [
        chat(f"Ticket {n}: please help me with number {n}.", json.dumps({"queue": QUEUES[n % 5], "priority": "low"}))
        for n in range(start, start + rows)
    ]


def jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def make_dataset(
    project: Project | None = None, by: User | None = None, purpose: str = "training", **fields
) -> Dataset:
    project = project or make_project()
    by = by or make_member(project)
    return services.create_dataset(
        project, by=by, name=fields.pop("name", f"data {next(_n)}"), purpose=purpose, **fields
    )


def make_upload(dataset: Dataset, content: bytes, name: str = "rows.jsonl", by: User | None = None, **fields) -> Upload:
    """Upload these bytes and let the worker read them; the upload comes back as it ended."""
    upload = services.accept_upload(
        dataset, by=by or dataset.created_by, file=SimpleUploadedFile(name, content), **fields
    )
    run_jobs()
    upload.refresh_from_db()
    return upload


def make_version(
    dataset: Dataset | None = None,
    rows: list[Any] | None = None,
    *,
    project: Project | None = None,
    by: User | None = None,
    purpose: str = "training",
) -> DatasetVersion:
    """A version read from an uploaded file of these rows (sixty tickets, if none are given)."""
    dataset = dataset or make_dataset(project, by, purpose)
    upload = make_upload(dataset, jsonl(tickets() if rows is None else rows))
    assert upload.version is not None, f"{upload.error_code}: {upload.error_message}"
    return upload.version


def clean(version: DatasetVersion, *steps: dict[str, Any], by: User | None = None) -> DatasetVersion:
    """Follow a recipe to its new version."""
    build = services.clean_version(version, by=by or version.created_by, steps=list(steps))
    run_jobs()
    build.refresh_from_db()
    assert build.version is not None, f"{build.error_code}: {build.error_message}"
    return build.version
