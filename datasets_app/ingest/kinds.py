"""The background work around versions, told to the kernel: previews, comparisons."""

from datasets_app.ingest import builds, overlaps
from datasets_app.models import Comparison, Preview
from projects.jobs import JobKind

KINDS = [
    JobKind(
        label="datasets.preview",
        model=Preview,
        queue="cpu",
        cause="data",
        prepare=builds.prepare_preview,
        complete=builds.complete_preview,
        after=builds.after_preview,
    ),
    JobKind(
        label="datasets.comparison",
        model=Comparison,
        queue="cpu",
        cause="data",
        prepare=overlaps.prepare_comparison,
        complete=overlaps.complete_comparison,
        after=overlaps.after_comparison,
    ),
]
