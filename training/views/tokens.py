"""The fragment on a dataset version's page that shows it in tokens of a base model."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from datasets_app.models import DatasetVersion
from projects.pages import ProjectPage
from training import pages, selectors, services
from training.domain.recipe import KNOB, check
from training.models import TokenProfile


class VersionTokens(ProjectPage):
    """GET shows what has been counted; POST counts."""

    room = "datasets"
    service = services.measure_tokens

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.fragment(self.version(pk), request.GET)

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        version = self.version(pk)
        base = get_object_or_404(selectors.ready_bases(self.project), pk=_whole(request.POST.get("base")))
        limit = check(KNOB["max_length"], request.POST.get("max_length", ""))
        self.service(version, by=request.user, base=base, max_length=limit)
        return self.fragment(version, request.POST)

    def version(self, pk: int) -> DatasetVersion:
        return get_object_or_404(DatasetVersion.objects.select_related("dataset"), dataset__project=self.project, pk=pk)

    def fragment(self, version: DatasetVersion, asked: Any) -> HttpResponse:
        bases = list(selectors.ready_bases(self.project))
        profile = self.profile(version, bases, asked)
        limit = check(KNOB["max_length"], asked.get("max_length") or KNOB["max_length"].default)
        context = {"version": version, "bases": bases, "profile": profile, "limit": limit}
        if profile is not None and profile.is_ready:
            stats = selectors.token_stats(profile, limit)
            context |= {"stats": stats} | pages.length_figure(stats)
        return self.render("training/_version_tokens.html", context)

    def profile(self, version: DatasetVersion, bases: list[Any], asked: Any) -> TokenProfile | None:
        """The one that was asked for, else the newest."""
        rows = TokenProfile.objects.filter(version=version, base__in=bases).select_related("base")
        if base := _whole(asked.get("base")):
            rows = rows.filter(base_id=base)
        return rows.order_by("-pk").first()


def _whole(text: Any) -> int:
    return int(text) if str(text or "").isdecimal() and len(str(text)) < 10 else 0
