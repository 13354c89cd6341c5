"""Pages of evaluations: the list with quality over time, a new one, and what one found."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from evaluation import pages, selectors, services
from evaluation.domain import diffs, statistics, verdicts
from evaluation.domain.graders import GRADERS
from evaluation.forms import EvaluationForm, ItemFilter
from evaluation.models import Evaluation
from evaluation.views.jobs import JobCancel, JobPage, JobRetry, JobStatus
from projects.domain.errors import Refused
from projects.forms import add_refusal

PER_PAGE = 25
ITEMS_PER_PAGE = 20
TABS = [
    ("", "All"),
    ("regression", "Regressions"),
    ("gain", "Gains"),
    ("unchanged", "Unchanged"),
    ("both_wrong", "Both wrong"),
]


class EvaluationPage(JobPage):
    room = "evaluation"

    def one(self, pk: int) -> Evaluation:
        return get_object_or_404(selectors.evaluations(self.project), pk=pk)

    def status(self, job: Evaluation) -> dict[str, Any]:
        cost = selectors.costs(self.project, [job.pk])[job.pk]
        return {"evaluation": job, "cost": cost, "verdict": selectors.verdict(job)}


class EvaluationList(EvaluationPage):
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        page = Paginator(selectors.evaluations(self.project), PER_PAGE).get_page(request.GET.get("page"))
        costs = selectors.costs(self.project, [row.pk for row in page])
        rows = [(row, selectors.primary_score(row), selectors.verdict(row), costs[row.pk]) for row in page.object_list]
        sets = selectors.golden_sets(self.project)
        wanted = request.GET.get("golden", "")
        shown = next((dataset for dataset in sets if str(dataset.pk) == wanted), sets[0] if sets else None)
        quality = pages.quality_over_time(self.project, shown) if shown else None
        context = {"page": page, "rows": rows, "sets": sets, "shown": shown, "quality": quality}
        return self.render("evaluation/list.html", context)


class EvaluationCreate(EvaluationPage):
    service = services.start_evaluation
    permission = services.start_evaluation.permission

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        wanted = {name: request.GET[name] for name in ("adapter", "base", "golden", "retention") if name in request.GET}
        return self.page(EvaluationForm(project=self.project, initial=wanted))

    def page(self, form: EvaluationForm, status: int = 200) -> HttpResponse:
        missing = {name: not form.fields[name].queryset.exists() for name in ("adapter", "golden")}  # type: ignore[attr-defined]
        last = selectors.evaluations(self.project).filter(state="succeeded").first()
        context = {"form": form, "missing": missing, "last": last}
        if last:
            context["last_cost"] = selectors.costs(self.project, [last.pk])[last.pk]
        return self.render("evaluation/create.html", context, status=status)

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = EvaluationForm(request.POST, project=self.project)
        if not form.is_valid():
            return self.page(form, status=400)
        values = dict(form.cleaned_data)
        try:
            evaluation = self.service(values.pop("adapter"), by=request.user, **values)
        except Refused as refused:
            add_refusal(form, refused)
            return self.page(form, status=refused.status)
        return redirect(evaluation)


class EvaluationDetail(EvaluationPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        evaluation = self.one(pk)
        context = self.status(evaluation) | {"facts": pages.facts(evaluation)}
        context["otherwise"] = selectors.otherwise(evaluation.adapter, evaluation.base)
        if context["verdict"]:
            context |= self.result(evaluation) | self.items(request, evaluation)
        return self.render("evaluation/detail.html", context)

    def result(self, evaluation: Evaluation) -> dict[str, Any]:
        score = selectors.primary_score(evaluation)
        retention = evaluation.summary.get("retention")
        return {
            "score": score,
            "arms": pages.arms(evaluation),
            "warnings": pages.warnings(evaluation),
            "detectable": statistics.minimum_detectable(score.n) * 100 if score else None,
            "retention": retention,
            "forgotten": bool(retention) and retention["change_percent"] > verdicts.RETENTION_LIMIT,
            "retention_words": retention and verdicts.retention_sentence(retention["change_percent"]),
        }

    def items(self, request: HttpRequest, evaluation: Evaluation) -> dict[str, Any]:
        form = ItemFilter(request.GET)
        chosen = form.chosen
        counts = selectors.outcome_counts(evaluation)
        page = Paginator(selectors.items(evaluation, **chosen), ITEMS_PER_PAGE).get_page(request.GET.get("page"))
        names = [(name, GRADERS[name].label) for name in evaluation.summary["graders"]]
        return {
            "page": page,
            "items": [_compared(item, names) for item in page.object_list],
            "outcome": chosen["outcome"],
            "query": chosen["query"],
            "tabs": [(name, label, counts.get(name, 0)) for name, label in TABS],
        }


def _compared(item: Any, names: list[tuple[str, str]]) -> dict[str, Any]:
    """One golden row with both answers in marked pieces and the scores of each."""
    return {
        "item": item,
        "expected": diffs.expected_in_lines(item.expected),
        "base": diffs.marked(item.expected, item.base_output),
        "adapter": diffs.marked(item.expected, item.adapter_output),
        "scores": [
            (label, item.scores["base"][name], item.scores["adapter"][name])
            for name, label in names
            if name in item.scores["base"]
        ],
    }


class EvaluationStatus(EvaluationPage, JobStatus):
    template = "evaluation/_status.html"


class EvaluationCancel(EvaluationPage, JobCancel):
    service = services.cancel_evaluation
    said = "The evaluation is being cancelled. What it cost so far stays in the ledger."


class EvaluationRetry(EvaluationPage, JobRetry):
    service = services.retry_evaluation
    said = "The evaluation waits for a worker again, with the same settings."
