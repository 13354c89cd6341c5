"""Pages of base-model versions."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from projects import contributions
from projects.domain.errors import Refused
from projects.forms import add_refusal
from projects.pages import ProjectPage
from training import forms, pages, selectors, services
from training.models import BaseModelVersion

PAGE, SHARDS = 50, 25


class BaseList(ProjectPage):
    room = "training"

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        page = Paginator(selectors.bases(self.project).prefetch_related("copies"), PAGE)
        return self.render("training/bases.html", {"page": page.get_page(request.GET.get("page"))})


class BaseRegister(ProjectPage):
    room = "training"
    service = services.register_base
    permission = services.register_base.permission

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.render("training/base_register.html", {"form": forms.RegisterBaseForm()})

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.RegisterBaseForm(request.POST)
        if form.is_valid():
            try:
                return redirect(self.service(self.project, by=request.user, **form.cleaned_data))
            except Refused as refused:
                add_refusal(form, refused)
        return self.render("training/base_register.html", {"form": form}, status=400)


class BasePage(ProjectPage):
    room = "training"

    def base(self, pk: int) -> BaseModelVersion:
        return get_object_or_404(selectors.bases(self.project).prefetch_related("copies"), pk=pk)


class BaseCompare(BasePage):
    """Two versions field by field; nonsense in the address asks for two."""

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        rows = {str(base.pk): base for base in selectors.bases(self.project).select_related("anatomy")}
        one, other = (rows.get(request.GET.get(name, "")) for name in ("one", "other"))
        if not {"one", "other"} & set(request.GET) and len(rows) > 1:  # nobody has chosen: the newest two
            other, one = list(rows.values())[:2]
        context: dict[str, Any] = {"bases": list(rows.values()), "one": one, "other": other}
        if one and other:
            context["comparison"] = selectors.compared_bases(one, other)
        return self.render("training/base_compare.html", context)


class BaseDetail(BasePage):
    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        base = self.base(pk)
        context = {
            "base": base,
            "parts": pages.base_facts(base),
            "changes": selectors.base_changes(base),
            "shards": Paginator(pages.base_shards(base), SHARDS).get_page(request.GET.get("shards")),
            **pages.base_copies(base),
            "panels": [panel for told in contributions.base_panels for panel in told(base)],
            "others": selectors.ready_bases(self.project).exclude(pk=base.pk),
            "runs": selectors.runs(self.project).filter(base=base)[:20],
            "adapters": selectors.adapters(self.project).filter(base=base)[:20],
        }
        return self.render("training/base.html", context)


class BaseStatus(BasePage):
    """The part of the page that changes while the files are hashed."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        base = self.base(pk)
        response = self.render("training/_base_status.html", {"base": base})
        if base.is_over:
            response["HX-Refresh"] = "true"  # the facts below have come in
        return response


class BaseChange(BasePage):
    """Licence, terms and end of life: what no file says."""

    service = services.change_base
    permission = services.change_base.permission

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        base = self.base(pk)
        known = {name: getattr(base, name) for name in forms.BaseChangeForm.base_fields if name != "reason"}
        return self.form(base, forms.BaseChangeForm(initial=known))

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        base, form = self.base(pk), forms.BaseChangeForm(request.POST)
        if form.is_valid():
            try:
                return redirect(self.service(base, by=request.user, **form.cleaned_data))
            except Refused as refused:
                add_refusal(form, refused)
        return self.form(base, form, status=400)

    def form(self, base: BaseModelVersion, form: Any, status: int = 200) -> HttpResponse:
        return self.render("training/base_change.html", {"base": base, "form": form}, status=status)


class BaseCancel(BasePage):
    service = services.cancel_base
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return redirect(self.service(self.base(pk), by=request.user))


class BaseCheck(BasePage):
    """Have every byte read again on one host."""

    service = services.check_base
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        base = self.base(pk)
        self.service(base, by=request.user, host=request.POST.get("host", "")[:120])
        messages.success(request, "Every byte is being read again. The result will stand here.")
        return redirect(base)


class BaseCopies(BasePage):
    """Where the files lie; polls itself while they are checked."""

    def get(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        base = self.base(pk)
        return self.render("training/_base_copies.html", {"base": base} | pages.base_copies(base))


class BaseRetry(BasePage):
    service = services.retry_base
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        return redirect(self.service(self.base(pk), by=request.user))


class BaseDelete(BasePage):
    service = services.delete_base
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        base = self.base(pk)
        self.service(base, by=request.user)
        messages.success(request, f"{base} is off the list. Its files were not touched.")
        return redirect("base-list", project=self.project.slug)
