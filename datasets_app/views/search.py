"""Pages of deletion requests: look for a person's text, see what was made of it, take it out."""

from django.contrib import messages
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect

from datasets_app import exports, pages, selectors, services
from datasets_app.models import TextSearch
from projects.domain.permissions import Permission
from projects.pages import ProjectPage


class SearchPage(ProjectPage):
    """What the pages of one search share; viewers do not see whom somebody looked for."""

    room = "datasets"
    permission = Permission.DATASET_EDIT

    def search(self, pk) -> TextSearch:
        return get_object_or_404(
            TextSearch.objects.select_related("searched_by", "project"), project=self.project, pk=pk
        )


class SearchList(SearchPage):
    service = services.search_text

    def get(self, request, project):
        return self.render("datasets/search_list.html", pages.searches_page(self.project))

    def post(self, request, project):
        return redirect(self.service(self.project, by=request.user, text=request.POST.get("text", "")))


class SearchDetail(SearchPage):
    def get(self, request, project, pk):
        template = "datasets/_search_result.html" if request.htmx else "datasets/search.html"
        return self.render(template, pages.search_page(self.search(pk)))


class SearchAnswer(SearchPage):
    """Everything that was found as a table for a letter: safe to be opened as a spreadsheet."""

    def get(self, request, project, pk):
        lines = selectors.answer_lines(self.search(pk))
        response = StreamingHttpResponse(exports.answer_csv(lines), content_type=exports.TYPES["csv"])
        response["Content-Disposition"] = f'attachment; filename="deletion-request-{pk}.csv"'
        response["X-Content-Type-Options"] = "nosniff"
        return response


class SearchErase(SearchPage):
    service = services.erase_text

    def post(self, request, project, pk):
        search = self.search(pk)
        builds = self.service(search, by=request.user)
        messages.info(
            request, f"{len(builds)} new version{'s are' if len(builds) > 1 else ' is'} being made without these rows."
        )
        return redirect(search)


class SearchForget(SearchPage):
    service = services.forget_search

    def post(self, request, project, pk):
        self.service(self.search(pk), by=request.user)
        messages.info(request, "The text and what was found are forgotten.")
        return redirect("text-search-list", self.project.slug)
