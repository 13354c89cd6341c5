"""What the model will see: the page of a dataset version under a base and a limit of length."""

import random
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from datasets_app.models import DatasetVersion
from projects.pages import ProjectPage
from training import pages, selectors, services
from training.domain.recipe import KNOB, check
from training.models import BaseModelVersion

LIMIT = KNOB["max_length"]


class SeenPage(ProjectPage):
    """What is asked about: a version, a base (the newest, unless said otherwise), a limit and a row."""

    room = "datasets"

    def version(self, pk: int) -> DatasetVersion:
        return get_object_or_404(
            DatasetVersion.objects.select_related("dataset__project"), dataset__project=self.project, pk=pk
        )

    def base(self, asked: Any) -> BaseModelVersion | None:
        bases = selectors.ready_bases(self.project)
        wanted = asked.get("base", "")
        return get_object_or_404(bases, pk=_whole(wanted)) if wanted else bases.first()

    def some_base(self, asked: Any) -> BaseModelVersion:
        base = self.base(asked)
        if base is None:
            raise Http404
        return base

    def limit(self, asked: Any) -> int:
        return int(check(LIMIT, asked.get("max_length") or LIMIT.default))

    def address(self, version: DatasetVersion, base: BaseModelVersion, limit: int, row: int | None = None) -> str:
        asked = {"base": base.pk, "max_length": limit} | ({} if row is None else {"row": row})
        return f"{redirect('version-seen', self.project.slug, version.pk).url}?{urlencode(asked)}"


class VersionSeen(SeenPage):
    """GET shows; POST has a worker count."""

    service = services.measure_tokens

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        version, base, limit = self.version(pk), self.base(request.GET), self.limit(request.GET)
        row = request.GET.get("row", "")
        if row == "any" and base is not None and version.rows:
            return redirect(self.address(version, base, limit, random.randrange(version.rows)) + "#row")
        number = _whole(row) if row.isdecimal() else None
        template = "training/_seen_state.html" if request.GET.get("part") == "state" else "training/seen.html"
        return self.render(template, pages.seen_page(version, base, limit, number))

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        version, base, limit = self.version(pk), self.some_base(request.POST), self.limit(request.POST)
        self.service(version, by=request.user, base=base, max_length=limit)
        return redirect(self.address(version, base, limit))


class VersionSeenRow(SeenPage):
    """The fragment with one row. GET shows what has been rendered; POST has a worker render it."""

    service = services.show_row

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.fragment(self.version(pk), request.GET)

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        version = self.version(pk)
        row = _whole(request.POST.get("row", ""))
        self.service(version, by=request.user, base=self.some_base(request.POST), index=row)
        return self.fragment(version, request.POST)

    def fragment(self, version: DatasetVersion, asked: Any) -> HttpResponse:
        base, row = self.some_base(asked), _whole(asked.get("row", ""))
        if row >= version.rows:
            raise Http404
        context = pages.row_page(version, base, self.limit(asked), row, whole=asked.get("all") == "1")
        return self.render("training/_seen_row.html", context)


class VersionSeenDrop(SeenPage):
    """Queues a version without the rows that the limit spoils."""

    service = services.drop_lost
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        version, base, limit = self.version(pk), self.some_base(request.POST), self.limit(request.POST)
        what, reason = request.POST.get("what", ""), request.POST.get("reason", "")
        build = self.service(version, by=request.user, base=base, max_length=limit, what=what, reason=reason)
        messages.info(request, "A version without these rows is being made. This page shows it when it is there.")
        return redirect(build)


def _whole(text: Any) -> int:
    """A number from an address; what is none, or too long to be one, is no row and no base."""
    text = str(text or "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Http404
    return int(text)
