"""The page of what changed between two versions."""

from django.shortcuts import redirect

from datasets_app import pages, services
from datasets_app.views.versions import VersionPage


class DiffDetail(VersionPage):
    """Asked for by POST once for each pair; then it is there for everybody."""

    service = services.compare_versions

    def get(self, request, project, before, after):
        context = pages.diff_page(self.version(before), self.version(after), request.GET)
        return self.render("datasets/_diff.html" if request.htmx else "datasets/diff.html", context)

    def post(self, request, project, before, after):
        diff = self.service(self.version(after), by=request.user, before=self.version(before))
        if request.htmx:
            return self.get(request, project, before, after)
        return redirect(diff)
