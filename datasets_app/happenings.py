"""What others can be told of data: that a version is ready to be used, or that making one has failed."""

from typing import Any

from datasets_app.models import Dataset, DatasetVersion
from datasets_app.models.versions import Stage
from projects import facts
from projects.domain.telling import Tell
from projects.events import EventType, Facts, register
from projects.facts import MONEY, about_job, example

DATASET = "/projects/support/datasets/4/"


def _ready(row: Any, line: Any) -> Facts | None:
    """A version that may be used: one that was made and released, or a proposed one that was merged."""
    version: DatasetVersion | None = row if isinstance(row, DatasetVersion) else row.version
    if version is None or (version is row and version.stage != Stage.RELEASED):
        return None
    dataset: Dataset = version.dataset
    subject = facts.subject_of(version, "dataset version", dataset=dataset.pk, number=version.number)
    return Facts(
        text=f"{version} is ready.",
        subject=subject,
        person=version.created_by_id,
        more={"rows": version.rows, "sha256": version.content_hash},
    )


EVENTS = (
    EventType(
        "version.ready",
        "Data",
        "There is a new version of a dataset that can be used.",
        ("datasetversion.created", "proposal.merged"),
        _ready,
        example(
            "dataset version", "tickets v3", "tickets v3 is ready.", path="/projects/support/versions/7/",
            rows=1200, sha256="9f2c…",
        ),
    ),
    EventType(
        "version.failed",
        "Data",
        "Reading a file or applying a recipe has failed, so there is no new version.",
        ("upload.failed", "build.failed"),
        about_job("dataset work", "Failed: {name}. There is no new version."),
        example(
            "dataset work", "tickets.jsonl", "Failed: tickets.jsonl. There is no new version.", path=DATASET,
            state="failed", money=MONEY,
            failure={
                "code": "no_good_rows", "cause": "data",
                "text": "Rows, templates or files that could not be used as they are.",
            },
        ),
        Tell.WHOSE,
        always=True,
    ),
)  # fmt: skip


def register_all() -> None:
    register(*EVENTS)
