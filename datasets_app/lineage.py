"""What this app adds to shared pages: dataset versions in the ancestry, uploads that wait for a person."""

from datasets_app.models import DatasetVersion, Proposal, Upload
from projects.access import may
from projects.contributions import Edge, Need, Node
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import Project, User

SHOWN = 20
KINDS = {"training": "dataset", "golden": "golden", "retention": "retention"}


def nodes_and_edges(project: Project) -> tuple[list[Node], list[Edge]]:
    versions = (
        DatasetVersion.objects.filter(dataset__project=project)
        .select_related("dataset__project")
        .prefetch_related("parents")
        .order_by("pk")
    )
    nodes = [
        Node(
            id=f"version:{version.pk}",
            kind=KINDS[version.dataset.purpose],
            label=str(version),
            url=version.get_absolute_url(),
            detail={"rows": version.rows, "content hash": version.content_hash[:8], "kind": version.get_kind_display()},
        )
        for version in versions
    ]
    edges = [
        Edge(f"version:{parent.pk}", f"version:{version.pk}", "cleaned")
        for version in versions
        for parent in version.parents.all()
    ]
    return nodes, edges


def needs(project: Project, user: User) -> list[Need]:
    """Uploads that were refused, and uploads with rows kept aside, unless a later reading replaced them."""
    uploads = (
        Upload.objects.filter(project=project, rereads=None)
        .select_related("dataset", "project")
        .order_by("-pk")[: SHOWN * 5]
    )
    waiting = []
    for upload in uploads:
        if upload.state == JobState.FAILED:
            text = f"{upload.file_name} could not be read into “{upload.dataset}”"
            waiting.append(
                Need(text, upload.get_absolute_url(), "failed", upload.finished_at or upload.created_at, "upload")
            )
        elif upload.state == JobState.SUCCEEDED and upload.rows_bad and is_newest(upload):
            rows = "1 row was" if upload.rows_bad == 1 else f"{upload.rows_bad} rows were"
            text = f"{rows} kept aside from {upload.file_name}"
            waiting.append(
                Need(text, upload.get_absolute_url(), "attention", upload.finished_at or upload.created_at, "upload")
            )
    return [*changes(project, user), *waiting][:SHOWN]


def changes(project: Project, user: User) -> list[Need]:
    """Proposed changes that somebody else made, and one's own that have fallen behind."""
    found = []
    waiting = Proposal.objects.filter(project=project, state=Proposal.State.OPEN).select_related("dataset", "project")
    for proposal in waiting.order_by("-pk")[:SHOWN]:
        if proposal.proposed_by_id != user.pk and may(user, Permission.DATASET_MERGE, project):
            text = f"“{proposal.title}” of {proposal.dataset} waits for a second person"
            found.append(Need(text, proposal.get_absolute_url(), "attention", proposal.created_at, "change"))
        elif proposal.proposed_by_id == user.pk and newest_of(proposal.dataset_id) != proposal.base_id:
            text = f"Your change “{proposal.title}” has to be brought up to date: {proposal.dataset} has moved on"
            found.append(Need(text, proposal.get_absolute_url(), "void", proposal.created_at, "change"))
    return found


def is_newest(upload: Upload) -> bool:
    """A dataset that has gone on since does not wait for anybody."""
    newest = newest_of(upload.dataset_id)
    return newest is not None and newest == upload.version_id


def newest_of(dataset: int) -> int | None:
    return DatasetVersion.objects.filter(dataset=dataset).order_by("-number").values_list("pk", flat=True).first()
