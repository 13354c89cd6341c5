"""What is found in a version, and what it shares with golden sets."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from datasets_app.domain.findings import Found, Severity, about
from datasets_app.domain.hashing import NO_PROMPT
from datasets_app.domain.purposes import Purpose
from datasets_app.domain.recipes import Step, fix_for
from datasets_app.domain.verdict import Fact, Leak, Verdict, judge, nothing_yet
from datasets_app.models import Dataset, DatasetVersion, Finding, Overlap
from datasets_app.selectors.rows import version_path
from projects.models import Project


@dataclass(frozen=True)
class FindingView:
    """A finding with the words that go with it."""

    code: str
    severity: str
    title: str
    why: str
    remedy: str
    count: int
    rows: list[int]
    detail: dict[str, Any]
    fix: Step | None


def findings(version: DatasetVersion) -> list[FindingView]:
    """Worst first; within a severity those of most rows first."""
    order = [severity.value for severity in Severity]
    known = [f for f in version.findings.all() if f.code in list(Found)]
    return [_finding_view(f) for f in sorted(known, key=lambda f: (order.index(f.severity), -f.count))]


def _finding_view(finding: Finding) -> FindingView:
    words = about(finding.code)
    return FindingView(
        finding.code, finding.severity, words.title, words.why, words.remedy,
        finding.count, finding.rows, finding.detail, fix_for(finding.code),
    )  # fmt: skip


def overlaps(version: DatasetVersion) -> QuerySet[Overlap]:
    """What the version shares with golden sets, measured when versions are made."""
    return version.overlaps.select_related("golden_version__dataset").order_by("-normalised")


def shared_prompts(version: DatasetVersion, golden: DatasetVersion) -> tuple[int, int, list[int]]:
    """(rows with an equal prompt, rows with an equal prompt in its normal form, their indices)."""
    import numpy as np

    exact = _same(version, golden, "prompt_hash")
    either = exact | _same(version, golden, "prompt_norm_hash")
    return int(exact.sum()), int(either.sum()), np.flatnonzero(either).tolist()


def _same(version: DatasetVersion, golden: DatasetVersion, column: str) -> Any:
    import numpy as np

    mine, theirs = _column(version, column), _column(golden, column)
    return np.isin(mine, theirs[theirs != NO_PROMPT])


def _column(version: DatasetVersion, name: str) -> Any:
    import pyarrow.parquet as pq

    table = pq.read_table(version_path(version), columns=[name], use_threads=False)
    return table.column(name).to_numpy()


def golden_versions(project: Project) -> QuerySet[DatasetVersion]:
    return DatasetVersion.objects.filter(dataset__project=project, dataset__purpose=Purpose.GOLDEN).select_related(
        "dataset"
    )


def verdict(dataset: Dataset, version: DatasetVersion | None) -> Verdict:
    """Can this be used, and what comes first if not?"""
    purpose = Purpose(dataset.purpose)
    if version is None:
        return nothing_yet(purpose)
    facts = [Fact(f.code, f.severity, f.count) for f in version.findings.all() if f.code in list(Found)]
    leaks = []
    if purpose == Purpose.TRAINING:
        leaks = [Leak(str(o.golden_version), o.normalised) for o in overlaps(version)]
    return judge(purpose, version.rows, facts, leaks)
