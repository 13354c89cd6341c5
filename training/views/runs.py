"""Pages of runs: the list, the new one with its projection, and the live page."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from projects.domain.errors import Invalid, Refused
from projects.domain.states import JobState
from projects.forms import add_refusal
from projects.pages import ProjectPage
from training import forms, pages, selectors, services
from training.domain import listing as listings
from training.domain.recipe import Recipe
from training.models import Run

FILTERS = ("run-filter", "run-order")


class RunList(ProjectPage):
    room = "training"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        listing = listings.read(request.GET.dict())
        number = request.GET.get("page")
        if self.wants_fragment:
            context = pages.run_list(self.project, listing, number)
            return self.piece("training/_run_list.html", context, forms=FILTERS, query=listing.query)
        choices = selectors.choices(self.project)
        context = pages.run_list(self.project, listing, number, choices) | pages.run_filters(choices)
        if not context["rows"]:
            context |= {
                "has_bases": selectors.ready_bases(self.project).exists(),
                "has_data": selectors.trainable_versions(self.project).exists(),
            }
        return self.render("training/runs.html", context)


class NewRun(ProjectPage):
    """The form of a run, however it was filled."""

    room = "training"
    permission = services.create_run.permission

    def page(self, form: forms.RunForm, status: int = 200, **more: Any) -> HttpResponse:
        context = {"spec_form": forms.SpecForm(), **more}
        context |= {
            "form": form,
            "has_bases": selectors.ready_bases(self.project).exists(),
            "has_data": selectors.trainable_versions(self.project).exists(),
        }
        return self.render("training/run_create.html", context, status=status)


class RunCreate(NewRun):
    service = services.create_run

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        initial = forms.initial_run(self.project)
        changes: list[str] = []
        model = self.model(request)
        if model is not None:
            values, changes = pages.like(model, request.GET.get("fix", ""))
            initial |= values
        for name in ("dataset_version", "validation_version", "base", "parent"):
            initial |= {name: request.GET[name]} if request.GET.get(name, "").isdecimal() else {}
        return self.page(forms.RunForm(project=self.project, initial=initial), model=model, changes=changes)

    def model(self, request: HttpRequest) -> Run | None:
        """The earlier run whose settings this one begins with."""
        wanted = request.GET.get("like", "")
        return get_object_or_404(selectors.runs(self.project), pk=int(wanted[:18])) if wanted.isdecimal() else None

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.RunForm(request.POST, project=self.project)
        if form.is_valid():
            draft = request.POST.get("then") == "draft"
            try:
                if draft:
                    return redirect(self.service(self.project, by=request.user, **form.parts))
                return redirect(services.launch_run(self.project, by=request.user, **form.reasons, **form.parts))
            except Refused as refused:
                add_refusal(form, refused)
        return self.page(form, status=400)


class RunProjection(ProjectPage):
    """What the run in the form would see, take and cost; counts the data first if nobody has yet."""

    room = "training"
    service = services.measure_tokens
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.RunForm(request.POST, project=self.project)
        form.is_valid()
        base, version = form.cleaned_data.get("base"), form.cleaned_data.get("dataset_version")
        try:
            context = self.projected(form, base, version) if base and version else {"incomplete": True}
        except (Refused, KeyError) as problem:
            text = problem.message if isinstance(problem, Refused) else "Fill in the numbers marked in the form."
            context = {"problem": text}
        return self.render("training/_projection.html", context)

    def projected(self, form: forms.RunForm, base: Any, version: Any) -> dict[str, Any]:
        recipe = Recipe.read(form.recipe)
        if not selectors.fits_method(version, recipe.method):
            kind = version.get_kind_display().lower()
            return {"problem": f"{recipe.method.upper()} does not fit {version}, which holds {kind} rows."}
        selectors.refuse_unbounded(base, version, recipe)
        profile = self.service(version, by=self.request.user, base=base, max_length=recipe.max_length)
        held_out = self.held_out(form, base, version, recipe)
        for one in filter(None, (profile, held_out)):
            if not one.is_ready:
                return {"counting": one}
        parent = form.cleaned_data.get("parent")
        found = pages.projection(self.project, base, profile, recipe, parent, held_out=held_out)
        return found | {"plan": pages.plan(self.project, found["projection"], timezone.now())}

    def held_out(self, form: forms.RunForm, base: Any, version: Any, recipe: Recipe) -> Any:
        """The counts of the validation data; None where none is chosen."""
        chosen = form.cleaned_data.get("validation_version")
        if chosen is None:
            return None
        by = self.request.user
        return services.prepare_validation(version, by=by, validation=chosen, base=base, recipe=recipe)


def over(request: HttpRequest) -> str:
    """What the reader wants curves drawn over."""
    wanted = request.GET.get("over", "")
    return wanted if wanted in pages.OVER else "step"


class RunPage(ProjectPage):
    room = "training"

    def run(self, pk: int) -> Run:
        return get_object_or_404(selectors.runs(self.project), pk=pk)


class RunDetail(RunPage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        run = self.run(pk)
        context = pages.run_status(run, timezone.now(), over(request)) | {"facts": pages.run_facts(run)}
        context["log"] = selectors.log_tail(run)
        context["other_base"] = selectors.other_base(run)
        if run.state == JobState.DRAFT:
            context |= self.draft(run)
        return self.render("training/run.html", context)

    def draft(self, run: Run) -> dict[str, Any]:
        """A draft shows what it would take, as soon as its data is counted."""
        held_out = selectors.held_out_profile(run)
        profile = selectors.profile_for(run.dataset_version, run.base)
        if profile is None or not profile.is_ready:
            return {"counting": profile}
        if run.validation_version is not None and (held_out is None or not held_out.is_ready):
            return {"counting": held_out}
        found = pages.projection(
            self.project, run.base, profile, run.read_recipe, run.parent_adapter, held_out=held_out
        )
        return found | {"plan": pages.plan(self.project, found["projection"], timezone.now())}


class RunStatus(RunPage):
    """All that changes while a run is running; polled by every viewer, computed from rows.

    The poll says which state the page was made for; what stands around the status follows when it is another now.
    The page of a run that is over asks when its reader comes back, and mostly hears that nothing has changed.
    """

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        run = self.run(pk)
        stand = pages.stand(run)
        known = request.GET.get("stand", stand)
        if run.is_over and known == stand and "stand" in request.GET:
            return HttpResponse(status=204)
        context = pages.run_status(run, timezone.now(), over(request))
        answer = self.render("training/_run_polled.html", context | {"moved": known != stand})
        if known != stand:
            answer["HX-Trigger"] = "run-moved"
        if known == JobState.HELD != stand:
            answer["HX-Refresh"] = "true"  # its page has no place for a log yet
        return answer


class RunStart(RunPage):
    service = services.start_run
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        form = forms.CutForm(request.POST)
        cut = form.cleaned_data["cut"] if form.is_valid() else None
        reasons = {name: request.POST.get(name, "")[:2000] for name in ("leak_reason", "budget_reason")}
        return redirect(self.service(self.run(pk), by=request.user, cut=cut or None, **reasons))


class RunCancel(RunPage):
    service = services.cancel_run
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        form = forms.ReasonForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        return redirect(self.service(self.run(pk), by=request.user, reason=reason))


class RunRetry(RunPage):
    service = services.retry_run
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        form = forms.RetryForm(request.POST)
        if not form.is_valid():
            raise Invalid("Choose a checkpoint of this run, or its start.", code="no_checkpoint", field="start_at")
        reason, start_at = form.cleaned_data["reason"], form.cleaned_data["start_at"]
        return redirect(self.service(self.run(pk), by=request.user, start_at=start_at, budget_reason=reason))


class RunPriority(RunPage):
    service = services.set_priority
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        form = forms.PriorityForm(request.POST)
        if not form.is_valid():
            raise Invalid("Choose low, normal or high.", code="unknown_priority", field="priority")
        run = self.service(self.run(pk), by=request.user, priority=form.chosen)
        messages.success(request, f"{run} now waits with {form.chosen.name.lower()} priority.")
        return redirect(run)


class RunDelete(RunPage):
    service = services.delete_run
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        run = self.run(pk)
        self.service(run, by=request.user)
        messages.success(request, f"{run} is deleted. What it cost stays in the ledger.")
        return redirect("run-list", project=self.project.slug)
