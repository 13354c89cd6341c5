"""Reads: rows of a version page by page, what is found in it, and what a dataset amounts to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from datasets_app.domain.codes import explain
from datasets_app.domain.findings import Found, Severity, about
from datasets_app.domain.hashing import NO_PROMPT
from datasets_app.domain.purposes import Purpose
from datasets_app.domain.recipes import Step, fix_for
from datasets_app.domain.verdict import Fact, Leak, Verdict, judge, nothing_yet
from datasets_app.models import Dataset, DatasetVersion, Finding, Overlap, Upload
from projects import artefacts
from projects.domain.states import JobState
from projects.models import Project

ROWS_FILE = "rows.parquet"
TEXT_COLUMNS = ("messages", "chosen", "rejected", "text", "label", "tags", "source_id")
JSON_COLUMNS = ("messages", "chosen", "rejected", "tools", "tags")
_checked: set[tuple[str, int, int]] = set()


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


@dataclass(frozen=True)
class BadCode:
    code: str
    title: str
    advice: str
    count: int


def version_path(version: DatasetVersion) -> Path:
    """The version's Parquet file on this machine, checked against its manifest once per process and file."""
    path = artefacts.fetch_directory(version.key, verify=False) / ROWS_FILE
    if not path.is_file():
        raise artefacts.ArtefactDamaged(f"The rows of {version} are missing from the store.")
    found = path.stat()
    mark = (str(path), found.st_mtime_ns, found.st_size)
    if mark not in _checked:
        artefacts.fetch_directory(version.key, verify=True)
        _checked.add(mark)
    return path


def latest_version(dataset: Dataset) -> DatasetVersion | None:
    return dataset.versions.order_by("-number").first()


def read_rows(
    version: DatasetVersion, offset: int = 0, limit: int = 50, query: str = ""
) -> tuple[list[dict[str, Any]], int]:
    """Rows from `offset` on and how many there are in all; with a query, of those that hold its text."""
    if not query:
        wanted = range(offset, min(offset + limit, version.rows))
        return read_rows_at(version, wanted), version.rows
    rows: list[dict[str, Any]] = []
    total = 0
    for table in _groups(version):
        hits = table.filter(_holds(table, query))
        start = max(0, offset - total)
        if len(rows) < limit and start < hits.num_rows:
            rows += hits.slice(start, limit - len(rows)).to_pylist()
        total += hits.num_rows
    return [_unpacked(row) for row in rows], total


def read_rows_at(version: DatasetVersion, indices: Iterable[int]) -> list[dict[str, Any]]:
    """The rows with these indices, in that order; only the groups that hold them are read."""
    import pyarrow.parquet as pq

    wanted = list(indices)
    if not wanted:
        return []
    file = pq.ParquetFile(version_path(version))
    found: dict[int, dict[str, Any]] = {}
    start = 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        inside = [n - start for n in wanted if start <= n < end]
        if inside:
            for row in file.read_row_group(group, use_threads=False).take(inside).to_pylist():
                found[row["index"]] = _unpacked(row)
        start = end
    return [found[n] for n in wanted if n in found]


def _groups(version: DatasetVersion) -> Iterator[Any]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(version_path(version))
    for group in range(file.num_row_groups):
        yield file.read_row_group(group, use_threads=False)


def _holds(table: Any, query: str) -> Any:
    """Which rows hold the text in any column. Turns are stored as JSON, so the text is looked for as JSON spells it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    spelt = orjson.dumps(query).decode()[1:-1]
    hit = pa.array([False] * table.num_rows)
    for name in TEXT_COLUMNS:
        needle = spelt if name in JSON_COLUMNS else query
        found = pc.match_substring(table.column(name).combine_chunks(), needle, ignore_case=True)
        hit = pc.or_(hit, pc.fill_null(found, False))
    return hit


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    for name in JSON_COLUMNS:
        row[name] = orjson.loads(row[name]) if row[name] else None
    return row


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


def dataset_list(project: Project, purpose: str = "") -> list[dict[str, Any]]:
    """Datasets with their latest version and its verdict, newest work first, in a fixed number of queries."""
    newest = DatasetVersion.objects.filter(dataset=OuterRef("pk")).order_by("-number")
    datasets = (
        Dataset.objects.filter(project=project)
        .annotate(
            latest_id=Subquery(newest.values("pk")[:1]),
            versions_made=Count("versions", distinct=True),
            reading=Count("uploads", Q(uploads__state__in=[JobState.QUEUED, JobState.RUNNING]), distinct=True),
        )
        .order_by("-pk")
    )
    if purpose:
        datasets = datasets.filter(purpose=purpose)
    listed = list(datasets)
    versions = (
        DatasetVersion.objects.filter(pk__in=[d.latest_id for d in listed])
        .select_related("dataset")
        .prefetch_related("findings")
        .in_bulk()
    )
    return [_listed(dataset, versions.get(dataset.latest_id)) for dataset in listed]


def _listed(dataset: Any, version: DatasetVersion | None) -> dict[str, Any]:
    return {"dataset": dataset, "version": version, "verdict": verdict(dataset, version)}


def bad_codes(upload: Upload) -> list[BadCode]:
    """The codes of an upload's bad rows with their counts, most frequent first."""
    ordered = sorted(upload.bad_codes.items(), key=lambda pair: -pair[1])
    return [BadCode(code, explain(code).title, explain(code).advice, n) for code, n in ordered]
