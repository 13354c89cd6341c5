"""Members and invitations of a project."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from projects import forms
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.models import Invitation, Membership
from projects.pages import ProjectPage
from projects.selectors import people as selectors
from projects.services import invitations, people


class MemberPage(ProjectPage):
    """The list of members, which every write about them comes back to."""

    room = "settings"

    def page(self, status: int = 200, **more: Any) -> HttpResponse:
        context = {
            "members": selectors.members(self.project),
            "invitations": selectors.open_invitations(self.project),
            "form": forms.InvitationForm(),
            "role_choices": forms.ROLE_CHOICES,
            "roles": list(Role),
            "rights": selectors.rights(),
        }
        return self.render("projects/members.html", context | more, status=status)

    def back(self, message: str) -> HttpResponse:
        messages.success(self.request, message)
        return redirect("member-list", self.project.slug)

    def member(self, pk: int) -> Membership:
        return get_object_or_404(Membership.objects.select_related("user"), project=self.project, pk=pk)


class MemberList(MemberPage):
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.page()


class MemberChange(MemberPage):
    service = people.change_role
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        form = forms.RoleForm(request.POST)
        membership = self.member(pk)
        if not form.is_valid():
            return self.page(status=400)
        self.service(membership, by=request.user, **form.cleaned_data)
        return self.back(f"{membership.user} is {form.cleaned_data['role']} now.")


class MemberRemove(MemberPage):
    service = people.remove_member
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        membership = self.member(pk)
        self.service(membership, by=request.user, reason=request.POST.get("reason", "")[:2000])
        return self.back(f"{membership.user} is no longer a member.")


class InvitationCreate(MemberPage):
    service = invitations.invite_member
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.InvitationForm(request.POST)
        if not form.is_valid():
            return self.page(status=400, form=form)
        try:
            invitation, secret = self.service(self.project, by=request.user, **form.cleaned_data)
        except Refused as refused:
            forms.add_refusal(form, refused)
            return self.page(status=refused.status, form=form)
        # Shown in this very answer: kept anywhere for a later page, the secret would lie in the database.
        link = request.build_absolute_uri(reverse("invitation-accept", args=[secret]))
        return self.page(made=invitation, link=link)


class InvitationRevoke(MemberPage):
    service = invitations.revoke_invitation
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        invitation = get_object_or_404(Invitation, project=self.project, pk=pk)
        self.service(invitation, by=request.user, reason=request.POST.get("reason", "")[:2000])
        return self.back("The invitation is revoked: its link no longer works.")
