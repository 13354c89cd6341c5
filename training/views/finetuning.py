"""The page of jobs that programs ordered through the OpenAI API, and how they do that."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from projects.pages import ProjectPage
from training.domain.finetuning import State
from training.selectors import finetuning as selectors

PAGE = 25


class FineTuningJobs(ProjectPage):
    room = "training"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        page = Paginator(selectors.jobs(self.project), PAGE).get_page(request.GET.get("page"))
        for job in page.object_list:
            job.word = job.state.replace("_", " ").capitalize()  # type: ignore[attr-defined]
            job.tone = {State.FAILED: "failed", State.CANCELLED: "void"}.get(State(job.state), "waiting")  # type: ignore[attr-defined]
        bases = list(selectors.named_bases(self.project))
        context = {"page": page, "bases": bases, "address": request.build_absolute_uri("/openai/v1")}
        return self.render("training/fine_tuning.html", context)
