"""Signing in and out, passwords, new accounts."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import View

from projects import forms
from projects.domain.errors import Refused
from projects.models import User
from projects.services import accounts
from projects.services.throttling import TooMany


def address_of(request: HttpRequest) -> str:
    """Where a request comes from. Behind our own proxy its last entry counts: those before it anyone may write."""
    forwarded = request.headers.get("X-Forwarded-For", "")
    if settings.SECURE_PROXY_SSL_HEADER and forwarded:
        return forwarded.rpartition(",")[2].strip()
    return request.META.get("REMOTE_ADDR", "")


def enter(request: HttpRequest, user: User) -> None:
    """Sign a person in whose account was made just now."""
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])


def too_many(response: HttpResponse, refused: TooMany) -> HttpResponse:
    response.status_code = refused.status
    response["Retry-After"] = str(refused.seconds)
    return response


class SignIn(LoginView):
    template_name = "projects/sign_in.html"
    authentication_form = forms.SignInForm
    redirect_authenticated_user = True
    extra_context = {"sign_up_open": settings.SIGN_UP_OPEN}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            accounts.count_sign_in(request.POST.get("username", "")[:254], address_of(request))
        except TooMany as refused:
            # The password is not looked at, and neither is the form: the answer is the same for everybody.
            page = self.get_context_data(form=self.authentication_form(request), refusal=refused.message)
            return too_many(render(request, self.template_name, page), refused)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        accounts.signed_in(form.cleaned_data["username"], address_of(self.request))
        return super().form_valid(form)


class SignOut(LogoutView):
    http_method_names = ["post", "options"]


class PasswordChange(PasswordChangeView):
    template_name = "projects/password_change.html"
    form_class = forms.NewPasswordForm
    success_url = reverse_lazy("project-list")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed. You are signed out everywhere else.")
        return super().form_valid(form)


@method_decorator([never_cache, sensitive_post_parameters("password")], name="dispatch")
class SignUp(View):
    """Only where the operator opened it; everywhere else people come by invitation."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not settings.SIGN_UP_OPEN:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "projects/sign_up.html", {"form": forms.NewPersonForm()})

    def post(self, request: HttpRequest) -> HttpResponse:
        form = forms.NewPersonForm(request.POST)
        if form.is_valid():
            try:
                accounts.count_new_account(address_of(request))
                enter(request, accounts.create_account(**form.cleaned_data))
                return redirect("project-list")
            except Refused as refused:
                forms.add_refusal(form, refused)
        return render(request, "projects/sign_up.html", {"form": form}, status=400)
