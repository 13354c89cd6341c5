"""The background work around versions, told to the kernel: previews, comparisons, differences, searches."""

from datasets_app.ingest import builds, diff, overlaps, search
from datasets_app.models import Comparison, Preview, TextSearch, VersionDiff
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
    JobKind(
        label="datasets.versiondiff",
        model=VersionDiff,
        queue="cpu",
        cause="data",
        prepare=diff.prepare_diff,
        complete=diff.complete_diff,
        after=diff.after_diff,
    ),
    JobKind(
        label="datasets.textsearch",
        model=TextSearch,
        queue="cpu",
        cause="data",
        prepare=search.prepare_search,
        complete=search.complete_search,
        after=search.after_search,
    ),
]
