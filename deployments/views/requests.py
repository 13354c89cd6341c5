"""Pages of a deployment request: asking, reading the evidence, deciding, deploying."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from deployments import charts, forms, services
from deployments.domain import gates
from deployments.domain.states import Verdict
from deployments.models import DeploymentRequest
from deployments.selectors import evidence, graph, reviews
from projects.domain.errors import Refused
from projects.forms import add_refusal
from projects.pages import ProjectPage
from training import selectors as training

DONE = {
    Verdict.APPROVE: "Approved. It can be deployed within seven days, as long as nothing in the evidence changes.",
    Verdict.REQUEST_CHANGES: "Changes requested. The author can submit it again.",
    Verdict.REJECT: "Rejected.",
}


class RequestPage(ProjectPage):
    room = "deployments"

    def found(self, pk: int) -> DeploymentRequest:
        return get_object_or_404(reviews.requests(self.project), pk=pk)

    def page(self, request: DeploymentRequest, status: int = 200, **more: Any) -> HttpResponse:
        dossier = reviews.dossier(request, self.request.user)
        context = {
            "it": dossier,
            "asked": request,
            "ancestry": graph.excerpt(self.project, f"adapter:{request.adapter_id}"),
            "reviews": request.reviews.select_related("author"),
            "comment_form": forms.CommentForm(),
            "decision_form": forms.DecisionForm(initial={"digest": request.digest}),
            "resubmit_form": forms.ResubmitForm(request=request),
            "score_figure": charts.differences(dossier.scores) if dossier.scores else None,
            "score_table": charts.differences_table(dossier.scores),
        }
        return self.render("deployments/request.html", context | more, status=status)

    def again(self, request: DeploymentRequest, form: Any, name: str, refused: Refused) -> HttpResponse:
        """The same page with the refusal at the form it is about."""
        add_refusal(form, refused)
        return self.page(self.found(request.pk), refused.status, refusal=refused.message, **{name: form})


class RequestDetail(RequestPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return self.page(self.found(pk))


class RequestStatus(RequestPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        asked = self.found(pk)
        it = reviews.dossier(asked, request.user)
        return self.render("deployments/_request_status.html", {"it": it, "asked": asked})


class AskPage(ProjectPage):
    """The form of a new request with the gates that it would meet."""

    room = "deployments"
    permission = services.request_deployment.permission

    def context(self, data: Any, *, bound: bool) -> dict[str, Any]:
        probe = forms.RequestForm(data, project=self.project)
        probe.is_valid()
        chosen = getattr(probe, "cleaned_data", {})
        adapter, slot, evaluation = (chosen.get(name) for name in ("adapter", "slot", "evaluation"))
        form = forms.RequestForm(
            data if bound else None, initial=_initial(data, adapter), project=self.project, adapter=adapter
        )
        if adapter and not bound and (evaluation is None or evaluation.adapter_id != adapter.pk):
            evaluation = form.fields["evaluation"].queryset.first()  # type: ignore[attr-defined]
            form.initial["evaluation"] = evaluation
        facts = evidence.collect(slot, adapter, evaluation, trusting_files=True) if adapter and slot else None
        return {
            "form": form,
            "adapter": adapter,
            "gates": gates.judge(facts) if facts else [],
            "blocked": gates.blocked_by(gates.judge(facts)) if facts else [],
            "undecided": training.is_undecided(adapter, evaluation.base) if adapter and evaluation else False,
            "slots": self.project.slots.exists(),
            "adapters": self.project.adapters.exists(),
        }


def _initial(data: Any, adapter: Any) -> dict[str, Any]:
    """What was chosen so far; an evaluation of another adapter is dropped with that adapter."""
    initial = {
        name: data.get(name) for name in ("adapter", "slot", "message", "base_decision_reason") if data.get(name)
    }
    evaluation = str(data.get("evaluation", ""))
    if adapter and evaluation.isdecimal() and adapter.evaluations.filter(pk=int(evaluation)).exists():
        initial["evaluation"] = evaluation
    return initial


class RequestCreate(AskPage):
    service = services.request_deployment

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.render("deployments/request_create.html", self.context(request.GET, bound=False))

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        context = self.context(request.POST, bound=True)
        form = context["form"]
        if form.is_valid():
            try:
                made = self.service(self.project, by=request.user, **form.cleaned_data)
            except Refused as refused:
                add_refusal(form, refused)
            else:
                messages.success(request, "Your request is with the reviewers.")
                return redirect(made)
        return self.render("deployments/request_create.html", context, status=400)


class RequestPreview(AskPage):
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.render("deployments/_request_form.html", self.context(request.GET, bound=False))


class RequestComment(RequestPage):
    service = services.comment
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        asked, form = self.found(pk), forms.CommentForm(request.POST)
        if not form.is_valid():
            return self.page(asked, 400, comment_form=form)
        self.service(asked, by=request.user, **form.cleaned_data)
        return redirect(f"{asked.get_absolute_url()}#discussion")


class RequestDecide(RequestPage):
    service = services.decide
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        asked, form = self.found(pk), forms.DecisionForm(request.POST)
        if not form.is_valid():
            return self.page(asked, 400, decision_form=form)
        try:
            self.service(asked, by=request.user, session=True, **form.cleaned_data)
        except Refused as refused:
            return self.again(asked, form, "decision_form", refused)
        messages.success(request, DONE[form.cleaned_data["verdict"]])
        return redirect(asked)


class RequestWithdraw(RequestPage):
    service = services.withdraw
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        asked, form = self.found(pk), forms.ReasonForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        self.service(asked, by=request.user, reason=reason)
        messages.success(request, "The request is withdrawn.")
        return redirect(asked)


class RequestResubmit(RequestPage):
    service = services.resubmit
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        asked = self.found(pk)
        form = forms.ResubmitForm(request.POST, request=asked)
        if not form.is_valid():
            return self.page(asked, 400, resubmit_form=form)
        self.service(asked, by=request.user, **form.cleaned_data)
        messages.success(request, "Submitted again, with the evidence of today.")
        return redirect(asked)


class RequestDeploy(RequestPage):
    service = services.deploy_request
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        asked = self.found(pk)
        self.service(asked, by=request.user)
        messages.success(request, f"{asked.adapter} is on its way to {asked.slot}.")
        return redirect(asked)
