"""What this app adds to shared pages: dataset versions in the ancestry, uploads that wait for a person."""

from collections.abc import Collection, Iterator, Mapping

from datasets_app.models import Build, DatasetVersion, Overlap, Proposal, Stage, Upload
from projects.access import may
from projects.contributions import Brief, Edge, Kind, Need, Node
from projects.domain.permissions import Permission
from projects.domain.staleness import BY_PEOPLE, Cause, Mark
from projects.domain.states import JobState
from projects.lineage import among, as_mark, numbers, picked
from projects.models import Project, User

SHOWN = 20
KINDS = {"training": "dataset", "golden": "golden", "retention": "retention"}


KIND_OF = {
    "dataset": Kind("Dataset versions", "dataset version", 10, causes=BY_PEOPLE),
    "golden": Kind("Golden sets", "golden set", 11, causes=BY_PEOPLE),
    "retention": Kind("Retention sets", "retention set", 12, causes=BY_PEOPLE),
}


class Versions:
    """Dataset versions with their parents, and what deletion requests and comparisons have found against them."""

    kinds: Mapping[str, Kind] = KIND_OF

    def links(self, project: Project) -> Iterator[Edge]:
        through = DatasetVersion.parents.through.objects
        released = {"from_datasetversion__stage": Stage.RELEASED, "to_datasetversion__stage": Stage.RELEASED}
        found = through.filter(from_datasetversion__dataset__project=project, **released).order_by("pk")
        for child, parent in found.values_list("from_datasetversion", "to_datasetversion"):
            yield Edge(f"version:{parent}", f"version:{child}", "became")

    def briefs(self, project: Project, ids: Collection[str] | None = None) -> Iterator[Brief]:
        found = DatasetVersion.objects.filter(dataset__project=project).order_by("pk")
        for pk, number, name, purpose in among(found, ids, "version").values_list(
            "pk", "number", "dataset__name", "dataset__purpose"
        ):
            yield Brief(f"version:{pk}", KINDS[purpose], f"{name} v{number}")

    def nodes(self, project: Project, ids: Collection[str]) -> list[Node]:
        found = DatasetVersion.objects.filter(dataset__project=project).select_related("dataset__project")
        return [_node(version) for version in picked(found.order_by("pk"), numbers(ids, "version"))]

    def marks(self, project: Project) -> list[Mark]:
        return [*_contaminated(project), *_erased(project)]


def _node(version: DatasetVersion) -> Node:
    detail = {"rows": version.rows, "content hash": version.content_hash[:8], "kind": version.get_kind_display()}
    kind = KINDS[version.dataset.purpose]
    return Node(f"version:{version.pk}", kind, str(version), version.get_absolute_url(), detail=detail)


def _contaminated(project: Project) -> Iterator[Mark]:
    """Versions to train on that share rows with a golden set; one that was compared and shares none is free of it.

    What a golden and a retention set have in common is no leak: neither is learnt from.
    """
    found = Overlap.objects.filter(version__dataset__project=project, version__dataset__purpose="training")
    columns = ("version", "golden_version", "exact", "normalised", "ngram", "near")
    shared: dict[int, dict[int, tuple[int, int]]] = {}
    for version, golden, exact, normalised, ngram, near in found.order_by("pk").values_list(*columns):
        shared.setdefault(golden, {})[version] = (exact + normalised, ngram + near)
    leaked = {golden for golden, versions in shared.items() if any(map(any, versions.values()))}
    names = {one.pk: str(one) for one in DatasetVersion.every.filter(pk__in=leaked).select_related("dataset")}
    for golden in sorted(leaked):
        free = frozenset(f"version:{version}" for version, counts in shared[golden].items() if not any(counts))
        for version, (same, similar) in shared[golden].items():
            if same or similar:
                counted = [f"{count:,} {how}" for count, how in ((same, "equal"), (similar, "similar")) if count]
                rows = "row" if same + similar == 1 else "rows"
                reason = f"It shares {' and '.join(counted)} {rows} with {names.get(golden, 'a golden set')}."
                yield Mark(f"version:{version}", Cause.CONTAMINATED, reason, stops=free, decided=False)


def _erased(project: Project) -> Iterator[Mark]:
    """Versions that hold rows which somebody asked to have erased; those made without them are free of it."""
    for one in project.withdrawals.filter(cause=Cause.ERASED, lifted_at=None).select_related("by"):
        builds = Build.objects.filter(pk__in=one.detail.get("builds", []), version__isnull=False)
        made = builds.values_list("version", flat=True)
        yield as_mark(one, stops=(f"version:{version}" for version in made))


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
