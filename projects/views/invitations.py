"""The page behind an invitation link. Public: whoever holds the link is not a member yet."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import View

from projects import forms
from projects.domain.errors import Refused
from projects.models import Invitation, Membership
from projects.services import accounts, invitations
from projects.views.accounts import address_of, enter


@method_decorator([never_cache, sensitive_post_parameters("password")], name="dispatch")
class InvitationAccept(View):
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().dispatch(request, *args, **kwargs)
        except Refused as refused:
            return render(request, "projects/invitation_refused.html", {"refusal": refused}, status=refused.status)

    def get(self, request: HttpRequest, secret: str) -> HttpResponse:
        invitation = invitations.find_invitation(secret)
        return self.page(invitation, forms.InvitedPersonForm(email=invitation.email))

    def page(self, invitation: Invitation, form: forms.InvitedPersonForm, status: int = 200) -> HttpResponse:
        context = {"invitation": invitation, "form": form}
        return render(self.request, "projects/invitation.html", context, status=status)

    def post(self, request: HttpRequest, secret: str) -> HttpResponse:
        if request.user.is_authenticated:
            return self.welcome(invitations.accept_invitation(secret, by=request.user))
        invitation = invitations.find_invitation(secret)
        form = forms.InvitedPersonForm(request.POST, email=invitation.email)
        if not form.is_valid():
            return self.page(invitation, form, status=400)
        accounts.count_new_account(address_of(request))
        try:
            membership = invitations.accept_as_new_person(secret, **form.cleaned_data)
        except Refused as refused:
            forms.add_refusal(form, refused)
            return self.page(invitation, form, status=refused.status)
        enter(request, membership.user)
        return self.welcome(membership)

    def welcome(self, membership: Membership) -> HttpResponse:
        messages.success(self.request, f"Welcome. You are {membership.role} of {membership.project}.")
        return redirect("project-overview", membership.project.slug)
