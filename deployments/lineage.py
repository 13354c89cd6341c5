"""Requests and deployments in the lineage of a project."""

from collections.abc import Collection, Iterator, Mapping

from django.db.models import Q, QuerySet

from deployments.models import Deployment, DeploymentRequest
from projects.contributions import Brief, Edge, Kind, Node
from projects.domain.staleness import Mark
from projects.domain.states import ACTIVE
from projects.lineage import among, numbers, picked
from projects.models import Project


class Deployments:
    """A deployment that failed never carried an adapter and is left out.

    Requests are steps on the way to a deployment: they are drawn when somebody asks for them.
    """

    kinds: Mapping[str, Kind] = {
        "request": Kind("Requests", "request", 50, prov="activity", aside=True),
        "deployment": Kind("Deployments", "deployment", 60),
    }

    def links(self, project: Project) -> Iterator[Edge]:
        requests = DeploymentRequest.objects.filter(project=project).order_by("pk")
        for pk, adapter, evaluation in requests.values_list("pk", "adapter", "evaluation"):
            yield Edge(f"adapter:{adapter}", f"request:{pk}", "asked for")
            if evaluation:
                yield Edge(f"evaluation:{evaluation}", f"request:{pk}", "is evidence")
        for pk, request, back_to in _carried(project).values_list("pk", "request", "back_to"):
            yield Edge(f"request:{request}", f"deployment:{pk}", "approved")
            if back_to:
                yield Edge(f"deployment:{back_to}", f"deployment:{pk}", "rolled back to")

    def briefs(self, project: Project, ids: Collection[str] | None = None) -> Iterator[Brief]:
        requests = DeploymentRequest.objects.filter(project=project).order_by("pk")
        for pk, adapter, slot, state in among(requests, ids, "request").values_list(
            "pk", "adapter__name", "slot__name", "state"
        ):
            yield Brief(f"request:{pk}", "request", f"#{pk} {adapter} → {slot}", state)
        columns = ("pk", "slot__name", "adapter__name", "state", "live")
        for pk, slot, adapter, state, live in among(_carried(project), ids, "deployment").values_list(*columns):
            yield Brief(f"deployment:{pk}", "deployment", f"{slot}: {adapter}", "live" if live else state)

    def nodes(self, project: Project, ids: Collection[str]) -> list[Node]:
        requests = DeploymentRequest.objects.filter(project=project).select_related("project", "slot", "adapter")
        deployments = _carried(project).select_related("slot__project", "adapter")
        return [
            *map(_request, picked(requests.order_by("pk"), numbers(ids, "request"))),
            *map(_deployment, picked(deployments, numbers(ids, "deployment"))),
        ]

    def marks(self, project: Project) -> list[Mark]:
        return []


def _carried(project: Project) -> QuerySet[Deployment]:
    tried = Q(verified_at__isnull=False) | Q(state__in=ACTIVE)
    return Deployment.objects.filter(tried, project=project).order_by("pk")


def _request(row: DeploymentRequest) -> Node:
    label = f"#{row.pk} {row.adapter} → {row.slot}"
    return Node(f"request:{row.pk}", "request", label, row.get_absolute_url(), row.state, {"digest": row.digest[:8]})


def _deployment(row: Deployment) -> Node:
    state = "live" if row.live else row.state
    detail = {"release": row.release if row.manifest else "", "kind": row.kind}
    label = f"{row.slot}: {row.adapter}"
    return Node(f"deployment:{row.pk}", "deployment", label, row.get_absolute_url(), state, detail)
