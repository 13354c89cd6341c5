"""What changed between two versions: rows page by page, findings, labels and lengths."""

from dataclasses import dataclass
from typing import Any

from datasets_app.domain.findings import Found, about
from datasets_app.models import DatasetVersion, VersionDiff
from datasets_app.selectors.rows import read_rows_at
from projects import artefacts

CHANGES = ("edited", "added", "removed")
FURTHEST = 50  # generations that are walked back


@dataclass(frozen=True)
class ChangedFinding:
    code: str
    title: str
    severity: str
    before: int
    after: int

    @property
    def change(self) -> int:
        return self.after - self.before


def descends(version: DatasetVersion, ancestor: DatasetVersion) -> bool:
    """Whether the one was made from the other, over however many steps."""
    wave, seen = {version.pk}, set[int]()
    for _ in range(FURTHEST):
        if ancestor.pk in wave:
            return True
        seen |= wave
        found = DatasetVersion.every.filter(children__in=wave).values_list("pk", flat=True)
        wave = set(found) - seen
        if not wave:
            return False
    return False


def diff_of(before: DatasetVersion, after: DatasetVersion) -> VersionDiff | None:
    return VersionDiff.objects.filter(before=before, after=after).first()


def diff_rows(diff: VersionDiff, kind: str, offset: int, limit: int) -> list[dict[str, Any]]:
    """[{"before": stored row or None, "after": stored row or None}] from one of the three lists."""
    import numpy as np

    path = artefacts.fetch_directory(diff.key, verify=False) / f"{kind}.npy"
    places = np.load(path, mmap_mode="r", allow_pickle=False)[offset : offset + limit].tolist()
    if kind == "edited":
        old = {row["index"]: row for row in read_rows_at(diff.before, [a for a, _ in places])}
        new = {row["index"]: row for row in read_rows_at(diff.after, [b for _, b in places])}
        return [{"before": old[a], "after": new[b]} for a, b in places]
    if kind == "added":
        return [{"before": None, "after": row} for row in read_rows_at(diff.after, places)]
    return [{"before": row, "after": None} for row in read_rows_at(diff.before, places)]


def changed_findings(before: DatasetVersion, after: DatasetVersion) -> list[ChangedFinding]:
    """Findings whose number of rows is another, those that got worse first."""
    old = {finding.code: finding for finding in before.findings.all() if finding.code in list(Found)}
    new = {finding.code: finding for finding in after.findings.all() if finding.code in list(Found)}
    changed = []
    for code in old.keys() | new.keys():
        counts = tuple(side[code].count if code in side else 0 for side in (old, new))
        if counts[0] != counts[1]:
            severity = (new.get(code) or old[code]).severity
            changed.append(ChangedFinding(code, about(code).title, severity, *counts))
    return sorted(changed, key=lambda c: (-(c.change > 0), c.severity != "error", -abs(c.change)))


def changed_lengths(before: DatasetVersion, after: DatasetVersion) -> list[tuple[str, int, int]]:
    """(what, median characters before, after) of prompts and answers."""
    found = []
    for name in ("prompt", "answer"):
        old, new = (v.stats.get("chars", {}).get(name, {}).get("median") for v in (before, after))
        if old is not None and new is not None:
            found.append((name, round(old), round(new)))
    return found
