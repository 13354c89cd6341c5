"""What a version shares with golden sets."""

from datasets_app import selectors
from datasets_app.domain.purposes import Purpose
from datasets_app.models import DatasetVersion, Overlap


def measure_overlaps(version: DatasetVersion) -> None:
    """Fill in the missing pairs of this version: with golden sets, or a golden set with what trains already."""
    project = version.project
    if version.dataset.purpose == Purpose.GOLDEN:
        trained = DatasetVersion.objects.filter(dataset__project=project, dataset__purpose=Purpose.TRAINING)
        pairs = [(other, version) for other in trained.exclude(overlaps__golden_version=version)]
    else:
        golden = selectors.golden_versions(project).exclude(pk=version.pk)
        known = version.overlaps.values("golden_version")
        pairs = [(version, other) for other in golden.exclude(pk__in=known)]
    for mine, golden_version in pairs:
        exact, normalised, rows = selectors.shared_prompts(mine, golden_version)
        Overlap.objects.update_or_create(
            version=mine,
            golden_version=golden_version,
            defaults={"exact": exact, "normalised": normalised, "rows": rows[:1000]},
        )
