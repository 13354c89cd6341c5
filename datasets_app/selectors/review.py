"""Which rows a review is about, what the queue shows of them, and who may look."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from django.db.models import F, QuerySet

from datasets_app.domain.reviewing import MOST_FOUND, Scope, drawn, read_scope, share_of
from datasets_app.models import DatasetVersion, ReviewItem, ReviewRound
from datasets_app.selectors.findings import FindingView, findings, found_rows
from datasets_app.selectors.rows import read_rows_at, search_rows, version_path
from projects.domain.permissions import GRANTS, Permission
from projects.models import Project, User

SEARCH_SECONDS = 5.0  # for one step of a search that goes on until it is through

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray


def rounds(project: Project) -> QuerySet[ReviewRound]:
    return (
        ReviewRound.objects.filter(project=project)
        .exclude(state=ReviewRound.State.DISCARDED)
        .select_related("project", "version__dataset__project", "build__version__dataset__project", "created_by")
    )


def rounds_of(version: DatasetVersion) -> QuerySet[ReviewRound]:
    """The rounds that look at this version, newest first: what the page of a version counts and links."""
    return rounds(version.project).filter(version=version).order_by("-pk")


def reviewers(project: Project) -> QuerySet[User]:
    """Who may decide in this project."""
    roles = [role.value for role, granted in GRANTS.items() if Permission.DATASET_REVIEW in granted]
    members = User.objects.filter(memberships__project=project, memberships__role__in=roles)
    return members.order_by("name", "email")


def planned_rows(review: ReviewRound) -> "NDArray[int64]":
    """Every row of the round in the order of its positions. Versions never change, so neither does this."""
    import numpy as np

    kept = review.scope.get("rows")
    scope = read_scope({name: value for name, value in review.scope.items() if name != "rows"})
    rows = np.array(kept, dtype=np.int64) if kept is not None else rows_of(review.version, scope)
    return drawn(rows, scope, review.seed)


def rows_of(version: DatasetVersion, scope: Scope) -> "NDArray[int64]":
    """Indices of the rows that the filter of a scope names, before any sampling."""
    import numpy as np

    if scope.filter == "finding":
        return np.array(found_rows(version, scope.value), dtype=np.int64)
    if scope.filter == "label":
        return _rows_where(version, "label", scope.value, whole=True)
    if scope.filter == "tag":
        return _rows_where(version, "tags", orjson.dumps(scope.value).decode(), whole=False)
    if scope.filter == "text":
        return np.array(rows_holding(version, scope.value), dtype=np.int64)
    return np.arange(version.rows, dtype=np.int64)


def _rows_where(version: DatasetVersion, column: str, wanted: str, *, whole: bool) -> "NDArray[int64]":
    import numpy as np
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    values = pq.read_table(version_path(version), columns=[column], use_threads=False).column(column)
    hit = pc.equal(values, wanted) if whole else pc.match_substring(values, wanted)
    return np.flatnonzero(pc.fill_null(hit, False).to_numpy()).astype(np.int64)


def rows_holding(version: DatasetVersion, text: str, most: int = MOST_FOUND) -> list[int]:
    """Indices of the rows that the search of the version's page finds; stops one after `most`."""
    found: list[int] = []
    start: int | None = 0
    while start is not None and len(found) <= most:
        hits = search_rows(version, text, start, most + 1 - len(found), seconds=SEARCH_SECONDS)
        found += [row["index"] for row in hits.rows]
        start = hits.after
    return found


def shown_items(items: Sequence[ReviewItem]) -> list[tuple[ReviewItem, dict[str, Any], list[FindingView]]]:
    """Items with their rows and what was found in them, all of one version."""
    if not items:
        return []
    version = items[0].round.version
    rows = {row["index"]: row for row in read_rows_at(version, sorted(item.row for item in items))}
    hits = findings_at(version, [item.row for item in items])
    return [(item, rows[item.row], hits[item.row]) for item in items if item.row in rows]


def findings_at(version: DatasetVersion, indices: Sequence[int]) -> dict[int, list[FindingView]]:
    """What was found in each of these rows and not dismissed, worst first."""
    import numpy as np

    hits: dict[int, list[FindingView]] = {index: [] for index in indices}
    for finding in findings(version):
        if finding.count and finding.decided is None:
            rows = np.asarray(found_rows(version, finding.code))
            for index in indices:
                at = int(np.searchsorted(rows, index))  # the rows of a finding are sorted
                if at < len(rows) and rows[at] == index:
                    hits[index].append(finding)
    return hits


def waiting_for(review: ReviewRound, user: User, without: Collection[int] = ()) -> int:
    """How many rows of the round this person may still look at, those not laid out yet included.

    `without` are items whose decision is still on its way.
    """
    if not review.people:
        return review.planned - review.laid + _open_items(review, user, None, without)
    if user.pk not in review.people:
        return _open_items(review, user, None, without)
    at, people = review.people.index(user.pk), len(review.people)
    later = share_of(review.planned, people, at) - share_of(review.laid, people, at)
    return later + _open_items(review, user, user, without) + _open_items(review, user, None, without)


def _open_items(review: ReviewRound, user: User, assigned: User | None, without: Collection[int]) -> int:
    items = review.items.filter(decided__lt=F("needs"), assigned_to=assigned)
    return items.exclude(pk__in=without).exclude(decisions__reviewer=user).count()


def skipped_by(review: ReviewRound, user: User) -> int:
    """Rows this person passed over and nobody has decided since."""
    return review.items.filter(decided__lt=F("needs"), decisions__reviewer=user, decisions__verdict="skip").count()
