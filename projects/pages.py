"""Base classes of pages: those of a project, and those of the whole installation."""

from collections.abc import Collection, Iterable
from typing import Any, ClassVar

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.generic import View

from projects import access
from projects.access import OperatorService, Service
from projects.domain import asked
from projects.domain.errors import Refused
from projects.domain.permissions import GRANTS, Permission, Role
from projects.models import Project


def refuse_nul(request: HttpRequest) -> None:
    """In the address and in the fields of a form; what files hold is looked at by those who read them."""
    asked.refuse_nul(request.GET.lists())
    asked.refuse_nul(request.POST.lists())


class Refusing:
    """Pages that show a refusal in the words of the API, with a way back; as a fragment for htmx."""

    refusal_template = "refusal.html"
    request: HttpRequest

    def render(self, template: str, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
        raise NotImplementedError

    def refuse(self, refused: Refused) -> HttpResponse:
        template = "_refusal.html" if getattr(self.request, "htmx", False) else self.refusal_template
        context = {"message": refused.message, "code": refused.code, "back_url": self.came_from()}
        return self.render(template, context | self.read_refused(), status=refused.status)

    def read_refused(self) -> dict[str, Any]:
        """For a page that only shows: nothing could have changed, and without its query it can be shown."""
        if self.request.method not in {"GET", "HEAD"}:
            return {}
        return {"reads": True, "plain_url": self.request.path if self.request.GET else ""}

    def came_from(self) -> str:
        """The page with the button that was refused, when it is one of ours."""
        address = self.request.headers.get("Referer", "")
        secure, host = self.request.is_secure(), self.request.get_host()
        return address if url_has_allowed_host_and_scheme(address, {host}, require_https=secure) else ""


class InstallationPage(Refusing, LoginRequiredMixin, View):
    """A page about the whole installation, for whoever belongs to a project. Its writes are for operators."""

    refusal_template = "projects/refused.html"
    service: ClassVar[OperatorService[Any] | None] = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not request.user.is_authenticated:
            return self.handle_no_permission()
        if not access.is_member(request.user):
            raise Http404
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            access.require_operator(request.user)
        try:
            refuse_nul(request)
            return super().dispatch(request, *args, **kwargs)
        except Refused as refused:
            return self.refuse(refused)

    def render(self, template: str, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
        common = {"is_operator": access.is_operator(self.request.user)}
        return render(self.request, template, common | (context or {}), status=status)


class ProjectPage(Refusing, LoginRequiredMixin, View):
    """A page inside a project. `service` names the write that its POST fronts, `permission` guards its GET."""

    room: ClassVar[str] = ""
    permission: ClassVar[Permission] = Permission.PROJECT_VIEW
    service: ClassVar[Service[Any] | None] = None
    project: Project
    role: Role
    my_projects: Iterable[Project]

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if not request.user.is_authenticated:
            return
        if request.method == "GET" and not self.wants_fragment:
            entered = access.entered_among(request.user, kwargs["project"])
            self.project, self.role, self.my_projects = entered
        else:
            self.project, self.role = access.entered(request.user, kwargs["project"])
            self.my_projects = Project.objects.visible_to(request.user).order_by("name")  # asked only where shown

    def needed(self, request: HttpRequest) -> Permission:
        writes = request.method not in {"GET", "HEAD", "OPTIONS"}
        return self.service.permission if writes and self.service else self.permission

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not request.user.is_authenticated:
            return self.handle_no_permission()
        access.check(self.role, self.needed(request))
        try:
            refuse_nul(request)
            return super().dispatch(request, *args, **kwargs)
        except Refused as refused:
            return self.refuse(refused)

    @property
    def wants_fragment(self) -> bool:
        """Whether htmx asks for the piece that changes; going back in the history it wants the whole page."""
        htmx = getattr(self.request, "htmx", None)
        return htmx is not None and bool(htmx) and not htmx.history_restore_request

    def piece(self, template: str, context: dict[str, Any], *, forms: Collection[str], query: str) -> HttpResponse:
        """A piece of a page at the page's own address; no cache may give it where the whole is asked for.

        What the forms of these ids ask for is told to the browser as `query`, without what was left open.
        """
        response = self.render(template, context)
        response.headers["Cache-Control"] = "no-store"
        if self.request.htmx.trigger in forms:  # type: ignore[attr-defined]
            response.headers["HX-Replace-Url"] = f"{self.request.path}?{query}".rstrip("?")
        return response

    def render(self, template: str, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
        common = {
            "project": self.project,
            "role": self.role,
            "permissions": {permission.value for permission in GRANTS[self.role]},
            "room": self.room,
            "my_projects": self.my_projects,
        }
        return render(self.request, template, common | (context or {}), status=status)
