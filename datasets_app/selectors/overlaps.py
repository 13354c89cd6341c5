"""Which golden sets a version has not been compared with."""

from django.db.models import QuerySet

from datasets_app.domain.purposes import Purpose
from datasets_app.models import DatasetVersion
from datasets_app.selectors.findings import golden_versions


def missing_comparisons(version: DatasetVersion) -> QuerySet[DatasetVersion]:
    """Released golden versions of the project that nobody has held against this version yet."""
    golden = golden_versions(version.project)
    if version.dataset.purpose == Purpose.GOLDEN:
        return golden.none()
    return golden.exclude(pk__in=version.overlaps.values("golden_version"))
