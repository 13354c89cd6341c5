"""What versions share with golden sets, and which golden sets a version has not been compared with."""

from django.db.models import QuerySet

from datasets_app.domain.purposes import Purpose
from datasets_app.models import Comparison, DatasetVersion, Overlap, Shared
from projects.models import Project


def overlaps(version: DatasetVersion) -> QuerySet[Overlap]:
    """What the version shares with golden sets, measured when versions are made."""
    return version.overlaps.select_related("golden_version__dataset").order_by("-normalised")


def golden_versions(project: Project) -> QuerySet[DatasetVersion]:
    golden = DatasetVersion.objects.filter(dataset__project=project, dataset__purpose=Purpose.GOLDEN)
    return golden.select_related("dataset")


def missing_comparisons(version: DatasetVersion) -> QuerySet[DatasetVersion]:
    """Released golden versions of the project that nobody has held against this version yet."""
    golden = golden_versions(version.project)
    if version.dataset.purpose == Purpose.GOLDEN:
        return golden.none()
    return golden.exclude(pk__in=version.overlaps.values("golden_version"))


def golden_comparisons(version: DatasetVersion) -> QuerySet[Comparison]:
    return version.comparisons.filter(held_out=None)


def last_sharing(version: DatasetVersion, held_out: DatasetVersion) -> Comparison | None:
    return version.comparisons.filter(held_out=held_out).order_by("-pk").first()


def shared(version: DatasetVersion, held_out: DatasetVersion) -> Shared | None:
    """Rows that a version to train on shares with one that runs are looked at with; None before they are counted."""
    return Shared.objects.filter(version=version, held_out=held_out).first()
