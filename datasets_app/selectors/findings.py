"""What is found in a version, and what it shares with golden sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datasets_app.domain.findings import Severity, about, known
from datasets_app.domain.purposes import Purpose
from datasets_app.domain.recipes import Step, fix_for
from datasets_app.domain.verdict import Fact, Leak, Verdict, judge, nothing_yet
from datasets_app.models import Dataset, DatasetVersion, Finding
from datasets_app.selectors.dismissals import Decided, holds, standing
from datasets_app.selectors.overlaps import overlaps
from datasets_app.selectors.rows import version_path

FOUND = "found"


@dataclass(frozen=True)
class FindingView:
    """A finding with the words that go with it, and what people have decided about it."""

    code: str
    severity: str
    title: str
    why: str
    remedy: str
    when: str
    count: int
    rows: list[int]
    detail: dict[str, Any]
    fix: Step | None
    decided: Any = None  # the dismissal that holds
    came_back: Any = None  # the dismissal that holds no longer


def findings(version: DatasetVersion, decided: Decided | None = None) -> list[FindingView]:
    """Worst first; within a severity those of most rows first. Dismissed ones are among them, marked as decided."""
    order = [severity.value for severity in Severity]
    listed = [f for f in version.findings.all() if known(f.code)]
    decided = standing([version.dataset]) if decided is None else decided
    ordered = sorted(listed, key=lambda f: (order.index(f.severity), -f.count))
    return [_finding_view(f, decided.get((version.dataset_id, f.code))) for f in ordered]


def finding(version: DatasetVersion, code: str) -> FindingView | None:
    return next((found for found in findings(version) if found.code == code), None)


def _finding_view(finding: Finding, dismissal: Any) -> FindingView:
    words = about(finding.code)
    kept = dismissal is not None and holds(dismissal, finding)
    return FindingView(
        finding.code, finding.severity, words.title, words.why, words.remedy, words.when,
        finding.count, finding.rows, finding.detail, fix_for(finding.code),
        dismissal if kept else None, None if kept else dismissal,
    )  # fmt: skip


def found_rows(version: DatasetVersion, code: str) -> Sequence[int]:
    """All rows of a finding in their order, read from its file as they are asked for."""
    import numpy as np

    path = version_path(version).parent / FOUND / f"{code}.npy"
    if known(code) and path.is_file():
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    kept = version.findings.filter(code=code).first()
    return kept.rows if kept else []


def column(version: DatasetVersion, name: str) -> Any:
    """One column of all rows, as an array."""
    import pyarrow.parquet as pq

    table = pq.read_table(version_path(version), columns=[name], use_threads=False)
    return table.column(name).to_numpy()


def verdict(dataset: Dataset, version: DatasetVersion | None, decided: Decided | None = None) -> Verdict:
    """Can this be used, and what comes first if not?"""
    purpose = Purpose(dataset.purpose)
    if version is None:
        return nothing_yet(purpose)
    facts = [Fact(f.code, f.severity, f.count) for f in findings(version, decided) if f.decided is None]
    leaks = []
    if purpose == Purpose.TRAINING:
        leaks = [Leak(str(o.golden_version), o.total) for o in overlaps(version)]
    return judge(purpose, version.rows, facts, leaks)
