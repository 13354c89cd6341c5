"""Base class of every project page."""

from typing import Any, ClassVar

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.generic import View

from projects import access
from projects.access import Service
from projects.domain.errors import Refused
from projects.domain.permissions import GRANTS, Permission, Role
from projects.models import Project


class ProjectPage(LoginRequiredMixin, View):
    """A page inside a project. `service` names the write that its POST fronts, `permission` guards its GET."""

    room: ClassVar[str] = ""
    permission: ClassVar[Permission] = Permission.PROJECT_VIEW
    service: ClassVar[Service[Any] | None] = None
    project: Project
    role: Role

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if request.user.is_authenticated:
            self.project = access.project_for(request.user, kwargs["project"])
            self.role = access.role_of(request.user, self.project)  # type: ignore[assignment]

    def needed(self, request: HttpRequest) -> Permission:
        writes = request.method not in {"GET", "HEAD", "OPTIONS"}
        return self.service.permission if writes and self.service else self.permission

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not request.user.is_authenticated:
            return self.handle_no_permission()
        access.require(request.user, self.needed(request), self.project)
        try:
            return super().dispatch(request, *args, **kwargs)
        except Refused as refused:
            return self.refuse(refused)

    def refuse(self, refused: Refused) -> HttpResponse:
        """The same words as the API, on a page with a way back; a fragment for htmx."""
        template = "_refusal.html" if getattr(self.request, "htmx", False) else "refusal.html"
        context = {"message": refused.message, "code": refused.code, "back_url": self.came_from()}
        return self.render(template, context, status=refused.status)

    def came_from(self) -> str:
        """The page with the button that was refused, when it is one of ours."""
        address = self.request.headers.get("Referer", "")
        secure, host = self.request.is_secure(), self.request.get_host()
        return address if url_has_allowed_host_and_scheme(address, {host}, require_https=secure) else ""

    def render(self, template: str, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
        common = {
            "project": self.project,
            "role": self.role,
            "permissions": {permission.value for permission in GRANTS[self.role]},
            "room": self.room,
            "my_projects": Project.objects.visible_to(self.request.user).order_by("name"),
        }
        return render(self.request, template, common | (context or {}), status=status)
