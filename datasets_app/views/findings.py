"""Pages of findings: one of them with its rows, and what people do about it."""

from django.contrib import messages
from django.http import Http404, StreamingHttpResponse
from django.shortcuts import redirect

from datasets_app import pages, selectors, services
from datasets_app.domain.recipes import fix_for
from datasets_app.views.versions import VersionPage
from projects.domain.errors import Refused


class FindingPage(VersionPage):
    """What the pages of one finding share: one that the version does not have is not there."""

    def finding(self, version, code) -> selectors.FindingView:
        found = selectors.finding(version, code)
        if found is None:
            raise Http404
        return found


class FindingDetail(FindingPage):
    def get(self, request, project, pk, code):
        context = pages.finding_page(self.version(pk), code, request.GET)
        if context is None:
            raise Http404
        template = "datasets/_finding_rows.html" if request.htmx else "datasets/finding_detail.html"
        return self.render(template, context)


class FindingRows(FindingPage):
    """All rows of a finding as JSON lines, with the places; of secrets and personal data only a masked preview."""

    def get(self, request, project, pk, code):
        version = self.version(pk)
        lines = pages.found_lines(version, self.finding(version, code))
        response = StreamingHttpResponse(lines, content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{code}-v{version.number}.jsonl"'
        response["X-Content-Type-Options"] = "nosniff"
        return response


class FindingFix(FindingPage):
    """The one click that mends a finding: a build whose recipe has this one step."""

    service = services.clean_version

    def post(self, request, project, pk, code):
        version = self.version(pk)
        self.finding(version, code)
        step = fix_for(code)
        if step is None:
            raise Refused("Nothing mends this in one click. See what to do on its page.", code="no_fix")
        build = self.service(version, by=request.user, steps=[step.as_dict()])
        messages.info(request, "The new version is being made. This page shows it when it is there.")
        return redirect(build)


class FindingDismiss(FindingPage):
    service = services.dismiss_finding

    def post(self, request, project, pk, code):
        version = self.version(pk)
        self.service(version, by=request.user, code=code, reason=request.POST.get("reason", ""))
        messages.success(request, "Dismissed. It comes back when it grows by more than a fifth or becomes worse.")
        return redirect("finding-detail", self.project.slug, version.pk, code)


class FindingReopen(FindingPage):
    service = services.reopen_finding

    def post(self, request, project, pk, code):
        version = self.version(pk)
        self.service(version, by=request.user, code=code)
        messages.success(request, "The finding counts again.")
        return redirect("finding-detail", self.project.slug, version.pk, code)
