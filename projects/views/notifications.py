"""What a member hears of by e-mail, and the link in every letter that ends it without signing in."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from projects.domain.errors import Refused
from projects.pages import ProjectPage
from projects.selectors import webhooks as selectors
from projects.services import notifications as services

FIELD = "mail:"


class NotificationSettings(ProjectPage):
    room = "settings"
    service = services.choose_mail

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        member = selectors.member(self.project, request.user)
        choice, groups = selectors.mail_of(member)
        context = {
            "groups": groups,
            "mails": selectors.MAIL_WORDS.items(),
            "muted_at": choice.muted_at if choice else None,
            "letters": selectors.letters_of(member),
        }
        return self.render("projects/notifications.html", context)

    def post(self, request: HttpRequest, project: str) -> HttpResponse:
        names = [name for name in request.POST if name.startswith(FIELD)]
        choices = {name.removeprefix(FIELD): request.POST[name] for name in names}
        muted = {"muted": request.POST["muted"] == "yes"} if "muted" in request.POST else {}
        self.service(self.project, by=request.user, choices=choices, **muted)
        messages.success(request, "Saved.")
        return redirect("notification-settings", self.project.slug)


@method_decorator([never_cache, csrf_exempt], name="dispatch")
class Unsubscribe(View):
    """Mail programs post here by themselves (RFC 8058), without a session: the signed link is the permission.

    Following it only asks, since scanners of mail follow every link.
    """

    http_method_names = ["get", "post", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().dispatch(request, *args, **kwargs)
        except Refused as refused:
            return render(request, "projects/unsubscribe.html", {"refusal": refused}, status=refused.status)

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return render(request, "projects/unsubscribe.html", {"member": services.who_stops(token)})

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        member = services.stop_mail(token)
        return render(request, "projects/unsubscribe.html", {"member": member, "stopped": True})
