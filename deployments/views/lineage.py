"""Pages of the lineage: where things come from and what hangs on them, one question a page."""

import json

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.text import slugify

from datasets_app import selectors as datasets
from datasets_app.models import DatasetVersion
from deployments.domain import asking
from deployments.pages import beside, lineage
from deployments.selectors import graph, looking
from projects import lineage as kernel
from projects.pages import ProjectPage
from training import selectors as training

LISTED = 200  # in a list to choose from
FORMS = {"json": "application/json", "prov": "application/json", "svg": "image/svg+xml", "txt": "text/plain"}
ENDINGS = {"prov": "prov.json"}
WHOLE = 10**9


class Lineage(ProjectPage):
    """The graph, or for a script the piece about one node of it."""

    room = "lineage"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        asked = asking.read(request.GET)  # type: ignore[arg-type]
        view = graph.view(self.project, asked)
        context = {"view": view, "asked": asked, **self.looked_at(view)}
        if self.wants_fragment:
            response = self.render("deployments/_lineage_node.html", context)
            response.headers["Cache-Control"] = "no-store"
            return response
        context |= {
            "drawing": lineage.drawing(view),
            "tree": lineage.tree(view),
            "bases": self.project.bases.order_by("-pk").values_list("pk", "name")[:LISTED],
            "adapters": self.project.adapters.order_by("-pk").values_list("pk", "name")[:LISTED],
            "addresses": addresses(asked, view.asked.kinds),
        }
        return self.render("deployments/lineage.html", context)

    def looked_at(self, view: graph.View) -> dict[str, object]:
        name = view.asked.node
        return {
            "looked": looking.look(view.known, name),
            "stack": looking.stack(view, name),
            "close": view.asked.query(node=""),
            "open": view.asked.query(node="", opened=(*view.asked.opened, name)),
        }


def addresses(asked: asking.Asked, kinds: frozenset[str]) -> dict[str, str]:
    """Links of the page that change one thing and keep the rest."""
    return {
        "all": asking.Asked(fold=asked.fold).query(),
        "live": asking.Asked(live=True, fold=asked.fold).query(),
        "fold": asked.query(fold=not asked.fold, opened=(), node=""),
        "close": asked.query(opened=()),
        "export": asked.query(node=""),
    }


class LineageExport(ProjectPage):
    """What the page shows, as a file: data whole and unfolded, a drawing as it is drawn."""

    room = "lineage"

    def get(self, request: HttpRequest, project: str, form: str) -> HttpResponse:
        if form not in FORMS:
            raise Http404
        asked = asking.read(request.GET)  # type: ignore[arg-type]
        if form in {"json", "prov"}:
            asked = asking.Asked(asked.focus, asked.live, asked.kinds, fold=False)
        view = graph.view(self.project, asked, most=graph.DRAW_AT_MOST if form == "svg" else WHOLE)
        response = HttpResponse(self.written(view, form), content_type=f"{FORMS[form]}; charset=utf-8")
        name = slugify(view.focus.label if view.focus else self.project.name) or "lineage"
        response.headers["Content-Disposition"] = f'attachment; filename="lineage-{name}.{ENDINGS.get(form, form)}"'
        return response

    def written(self, view: graph.View, form: str) -> str:
        origin = self.request.build_absolute_uri("/").rstrip("/")
        if form == "svg":
            return lineage.drawing(view, alone=True)
        if form == "txt":
            return lineage.text(view)
        told = lineage.as_prov(view, origin=origin) if form == "prov" else lineage.as_dict(view, origin=origin)
        return json.dumps(told, ensure_ascii=False, indent=1, default=str)


class LineageCompare(ProjectPage):
    """Two adapters beside each other."""

    room = "lineage"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        first, second = (self.adapter(request.GET.get(name, "")) for name in ("a", "b"))
        if not {"a", "b"} & set(request.GET):  # nobody has chosen: the newest, and the one before it
            newest = training.adapters(self.project).order_by("-pk")[:2]
            second, first = newest if len(newest) == 2 else (None, None)
        context = {
            "it": beside.beside(first, second) if first and second else None,
            "first": first,
            "second": second,
            "adapters": self.project.adapters.order_by("-pk").values_list("pk", "name")[:LISTED],
        }
        return self.render("deployments/lineage_compare.html", context)

    def adapter(self, number: str):  # type: ignore[no-untyped-def]
        if not number:
            return None
        pks = kernel.numbers([f"adapter:{number}"], "adapter")
        return get_object_or_404(training.adapters(self.project), pk__in=pks)


class LineageRow(ProjectPage):
    """What one row of a dataset version fed."""

    room = "lineage"

    def get(self, request: HttpRequest, project: str, pk: int, index: int) -> HttpResponse:
        versions = DatasetVersion.objects.select_related("dataset__project")
        version = get_object_or_404(versions, dataset__project=self.project, pk=pk)
        known = kernel.whole(self.project)
        trace = datasets.trace_row(known, version, index)
        if trace is None:
            raise Http404
        impact = kernel.impact(self.project, *trace.starts, stops=trace.stops, known=known)
        context = {"version": version, "index": index, "trace": trace, "impact": impact, "known": known}
        return self.render("deployments/lineage_row.html", context)
