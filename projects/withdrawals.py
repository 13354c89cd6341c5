"""Withdrawing nodes of the lineage, for services of every app, and the refusal of what would stand on them."""

from collections.abc import Collection
from typing import Any

from projects import lineage
from projects.domain.errors import Refused
from projects.domain.staleness import Cause
from projects.models import Project, User, Withdrawal
from projects.transitions import record


def withdraw(
    project: Project, *, node: str, label: str, cause: Cause, reason: str, by: User, **detail: Any
) -> Withdrawal:
    made = Withdrawal.objects.create(
        project=project, node=node, label=label[:300], cause=cause.value, reason=reason, by=by, detail=detail
    )
    told = stands_on(project, node, detail.get("stops", ()))
    record(made, "withdrawal.created", actor=by.email, reason=reason, node=node, cause=cause.value, **told)
    return made


def stands_on(project: Project, node: str, stops: Collection[str] = ()) -> dict[str, Any]:
    """How many things of each kind descend from a node, and how many of them are live: for the audit log and events."""
    found = lineage.impact(project, node, stops=stops)
    return {"descendants": {kind: len(briefs) for kind, briefs in found.by_kind.items()}, "live": len(found.live)}


def refuse_stale(project: Project, *nodes: str) -> None:
    """Nothing new is made of what was withdrawn, nor of what descends from it."""
    for carried in lineage.stale(project, *nodes).values():
        for mark in carried:
            if mark.decided:
                named = lineage.node(project, mark.node)
                what = named.label if named else mark.node
                raise Refused(
                    f"{what}: {mark.words}. “{mark.reason}” Choose another, or have that taken back on its page "
                    "of the lineage.",
                    code="stale_ancestor",
                )
