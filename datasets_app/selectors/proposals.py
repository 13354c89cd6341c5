"""Proposals: what waits for a second person, whether its dataset has moved on, which rows are still the same."""

from django.db.models import QuerySet

from datasets_app.models import DatasetVersion, Proposal
from datasets_app.selectors.datasets import latest_version
from datasets_app.selectors.rows import version_path
from projects.models import Project

WAITING = (Proposal.State.OPEN, Proposal.State.BUILDING)


def proposals(project: Project, *, decided: bool = False) -> QuerySet[Proposal]:
    """Newest first, either those that wait or those that were decided."""
    found = Proposal.objects.filter(project=project).select_related(
        "dataset__project", "version", "base", "proposed_by", "decided_by", "build", "project"
    )
    waiting = found.exclude if decided else found.filter
    return waiting(state__in=WAITING).order_by("-pk")


def is_stale(proposal: Proposal) -> bool:
    """Whether a version was released since the one that the change was made from."""
    if proposal.state not in WAITING:
        return False
    latest = latest_version(proposal.dataset)
    return latest is not None and latest.pk != proposal.base_id


def same_rows(old: DatasetVersion, new: DatasetVersion) -> dict[int, int]:
    """From the number of a row in one version to the number of the equal row in another; each is used once."""
    import numpy as np
    import pyarrow.parquet as pq

    sides = []
    for version in (old, new):
        table = pq.read_table(version_path(version), columns=["row_hash"], use_threads=False)
        sides.append(table.column(0).to_numpy())
    waiting: dict[int, list[int]] = {}
    for place in range(len(sides[1]) - 1, -1, -1):
        waiting.setdefault(int(sides[1][place]), []).append(place)
    found = {}
    for place in np.arange(len(sides[0])).tolist():
        places = waiting.get(int(sides[0][place]))
        if places:
            found[place] = places.pop()
    return found
