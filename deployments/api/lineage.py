"""The API of the lineage: the graph, one node of it, what hangs on one, and the questions of the page."""

from typing import Any

from django.http import Http404, JsonResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response

from datasets_app import selectors as datasets
from datasets_app.models import DatasetVersion
from deployments.api import lineage_shapes as shapes
from deployments.domain.asking import Asked
from deployments.pages import beside, lineage
from deployments.selectors import graph, looking
from projects import lineage as kernel
from projects.api.views import ProjectViewSet
from projects.lineage import Impact
from training import selectors as training

WHOLE = 10**9
CHOSEN = [
    OpenApiParameter("focus", str, description="Only this node, its ancestors and its descendants"),
    OpenApiParameter("kind", str, many=True, description="Only nodes of these kinds; paths through others are kept"),
]
PAIR = [OpenApiParameter(name, int, required=True, description="Number of an adapter") for name in ("a", "b")]


class LineageViewSet(ProjectViewSet):
    """Reads only; withdrawing a node is under `withdrawals/`."""

    serializer_class = shapes.LineageSerializer
    known_filters = ("focus", "kind", "a", "b")

    @extend_schema(parameters=CHOSEN, responses=shapes.LineageSerializer)
    def list(self, request: Any, **kwargs: Any) -> Response:
        """Nodes and edges of the project; an edge leads from what was used to what was made of it."""
        return Response(self.get_serializer(lineage.as_dict(self.view())).data)

    @extend_schema(parameters=CHOSEN, responses=shapes.ProvSerializer)
    def prov(self, request: Any, **kwargs: Any) -> JsonResponse:
        """The same as PROV-JSON."""
        return JsonResponse(lineage.as_prov(self.view(), origin=request.build_absolute_uri("/").rstrip("/")))

    @extend_schema(responses=shapes.LineageSerializer)
    def live(self, request: Any, **kwargs: Any) -> Response:
        """What is live, and everything it descends from."""
        view = graph.view(self.project, Asked(live=True, fold=False, kinds=frozenset(kernel.kinds())), most=WHOLE)
        return Response(self.get_serializer(lineage.as_dict(view)).data)

    @extend_schema(responses=shapes.LookedSerializer)
    def node(self, request: Any, node: str, **kwargs: Any) -> Response:
        """One node: facts, neighbours, how much lies above and below, and why it is stale if it is."""
        looked = looking.look(kernel.whole(self.project), node)
        if looked is None:
            raise Http404
        return Response(shapes.LookedSerializer(_looked(looked)).data)

    @extend_schema(responses=shapes.ImpactSerializer)
    def impact(self, request: Any, node: str, **kwargs: Any) -> Response:
        """Everything that hangs on a node, by kind, and what of it is live."""
        known = kernel.whole(self.project)
        if node not in known.briefs:
            raise Http404
        return Response(shapes.ImpactSerializer(_impact(kernel.impact(self.project, node, known=known))).data)

    @extend_schema(responses=shapes.FedRowSerializer)
    def row(self, request: Any, version: int, row: int, **kwargs: Any) -> Response:
        """Which versions hold this row, and what was made of them."""
        versions = DatasetVersion.objects.select_related("dataset__project")
        known = kernel.whole(self.project)
        trace = datasets.trace_row(known, get_object_or_404(versions, dataset__project=self.project, pk=version), row)
        if trace is None:
            raise Http404
        impact = kernel.impact(self.project, *trace.starts, stops=trace.stops, known=known)
        held = [{"version": one.version.pk, "name": str(one.version), "rows": one.rows} for one in trace.holding]
        told = {"holding": held, "free": map(str, trace.free), "unread": map(str, trace.unread)}
        return Response(shapes.FedRowSerializer(_impact(impact) | told).data)

    @extend_schema(parameters=PAIR, responses=shapes.BesideSerializer)
    def compare(self, request: Any, **kwargs: Any) -> Response:
        """What differs between two adapters: data, recipe, base, making and results."""
        first, second = (self.adapter(name) for name in ("a", "b"))
        return Response(shapes.BesideSerializer(beside.beside(first, second)).data)

    def adapter(self, name: str) -> Any:
        """What is not the number of an adapter here is no adapter here."""
        pks = kernel.numbers([f"adapter:{self.request.query_params.get(name, '')}"], "adapter")
        return get_object_or_404(training.adapters(self.project), pk__in=pks)

    def view(self) -> graph.View:
        focus, kinds = self.request.query_params.get("focus", ""), self.request.query_params.getlist("kind")
        asked = Asked(focus=focus, kinds=frozenset(kinds), fold=False)
        if not kinds:
            asked = Asked(focus=focus, kinds=frozenset([*kernel.kinds(), kernel.MISSING]), fold=False)
        view = graph.view(self.project, asked, most=WHOLE)
        if focus and view.focus is None:
            raise Http404
        return view


def _impact(impact: Impact) -> dict[str, Any]:
    return {
        "total": impact.total,
        "counts": {kind: len(briefs) for kind, briefs in impact.by_kind.items()},
        "live": impact.live,
        "nodes": [brief for briefs in impact.by_kind.values() for brief in briefs],
    }


def _looked(looked: looking.Looked) -> dict[str, Any]:
    node, brief = looked.node, looked.brief
    return {
        "id": brief.id,
        "kind": brief.kind,
        "label": brief.label,
        "state": brief.state,
        "url": node.url if node else "",
        "detail": node.detail if node else {},
        "stale": [{"node": mark.node, "code": mark.code, "reason": mark.reason} for mark, _ in looked.marks],
        "missing": node is None,
        "cyclic": looked.cyclic,
        "parents": [one.brief._asdict() | {"how": one.label} for one in looked.parents],
        "children": [one.brief._asdict() | {"how": one.label} for one in looked.children],
        "ancestors": looked.above,
        "descendants": {kind: count for kind, count, _ in looked.below},
    }
