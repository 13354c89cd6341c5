"""Ask of an API call what the service behind it asks."""

from typing import Any

from django.core.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission

from projects import access
from projects.domain.permissions import PERSON_ONLY, Permission


class ServicePermission(BasePermission):
    """Finds the project (404 for outsiders) and asks for the permission that the view's service carries."""

    def has_permission(self, request: Any, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        view.project = access.project_for(request.user, view.kwargs["project"])
        needed = self.needed(request, view)
        access.require(request.user, needed, view.project)
        if request.auth is not None and request.method not in SAFE_METHODS and needed in PERSON_ONLY:
            raise PermissionDenied("A token may not do this. Sign in and do it yourself.")
        return True

    def needed(self, request: Any, view: Any) -> Permission:
        if request.method in SAFE_METHODS or view.action is None:
            return getattr(view, "permission", Permission.PROJECT_VIEW)
        return view.services[view.action].permission
