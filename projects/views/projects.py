"""Projects of a person, and the settings of one."""

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.generic import View

from projects import contributions, forms
from projects.domain.errors import Refused
from projects.pages import ProjectPage
from projects.selectors import people as people_selectors
from projects.services import people
from projects.services import projects as services


class ProjectList(LoginRequiredMixin, View):
    def get(self, request: HttpRequest) -> HttpResponse:
        mine = people_selectors.projects_of(request.user, timezone.now())
        return render(request, "projects/project_list.html", {"projects": mine})


class ProjectCreate(LoginRequiredMixin, View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "projects/project_form.html", {"form": forms.ProjectForm()})

    def post(self, request: HttpRequest) -> HttpResponse:
        form = forms.ProjectForm(request.POST)
        if not form.is_valid():
            return render(request, "projects/project_form.html", {"form": form}, status=400)
        project = services.create_project(by=request.user, **form.cleaned_data)
        return redirect("project-overview", project.slug)


class SettingsDetail(ProjectPage):
    room = "settings"
    service = services.change_settings

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.page(forms.SettingsForm.of(self.project))

    def page(self, form: forms.SettingsForm, status: int = 200) -> HttpResponse:
        stored = [pair for read in contributions.storage for pair in read(self.project)]
        return self.render("projects/settings.html", {"form": form, "stored": stored}, status=status)

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.SettingsForm.of(self.project, request.POST)
        if not form.is_valid():
            return self.page(form, status=400)
        try:
            self.service(self.project, by=request.user, **form.cleaned_data)
        except Refused as refused:
            forms.add_refusal(form, refused)
            return self.page(form, status=refused.status)
        messages.success(request, "Settings saved. New prices count for work that ends from now on.")
        return redirect("settings-detail", self.project.slug)


class ProjectLeave(ProjectPage):
    room = "settings"
    service = people.leave_project
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        self.service(self.project, by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, f"You have left {self.project}.")
        return redirect("project-list")
