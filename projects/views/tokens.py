"""API tokens of a project."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from projects import access, forms
from projects.domain.permissions import Permission
from projects.pages import ProjectPage
from projects.selectors import people as selectors
from projects.services import tokens as services


class TokenPage(ProjectPage):
    room = "settings"
    permission = Permission.TOKEN_CREATE

    def tokens(self) -> Any:
        everyone = access.may(self.request.user, Permission.MEMBER_MANAGE, self.project)
        return selectors.tokens(self.project, seen_by=self.request.user, everyone=everyone)

    def page(self, form: forms.TokenForm, status: int = 200, **more: Any) -> HttpResponse:
        context = {"form": form, "tokens": self.tokens()}
        return self.render("projects/tokens.html", context | more, status=status)


class TokenList(TokenPage):
    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        return self.page(forms.TokenForm())


class TokenCreate(TokenPage):
    service = services.create_token
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        form = forms.TokenForm(request.POST)
        if not form.is_valid():
            return self.page(form, status=400)
        made, secret = self.service(self.project, by=request.user, **form.cleaned_data)
        return self.page(forms.TokenForm(), made=made, secret=secret)


class TokenRevoke(TokenPage):
    service = services.revoke_token
    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest, project: str, pk: int) -> HttpResponse:
        token = get_object_or_404(self.tokens(), pk=pk)
        self.service(token, by=request.user, reason=request.POST.get("reason", "")[:2000])
        messages.success(request, f"{token.name} is revoked. Programs that use it are refused from now on.")
        return redirect("token-list", self.project.slug)
