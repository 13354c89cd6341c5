"""The only door to a project. Pages, API and services all come through here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import Http404

from projects.domain.permissions import GRANTS, Permission, Role
from projects.models import Membership, Project

T = TypeVar("T")


def project_for(user: Any, slug: str) -> Project:
    """Outsiders get 404, so that a slug's existence does not leak."""
    project = Project.objects.visible_to(user).filter(slug=slug).first() if user.is_authenticated else None
    if project is None:
        raise Http404
    return project


def role_of(user: Any, project: Project) -> Role | None:
    role = Membership.objects.filter(user=user, project=project).values_list("role", flat=True).first()
    return Role(role) if role else None


def may(user: Any, permission: Permission, project: Project) -> bool:
    role = role_of(user, project)
    return role is not None and permission in GRANTS[role]


def require(user: Any, permission: Permission, project: Project) -> None:
    if not may(user, permission, project):
        raise PermissionDenied(f"Your role in this project does not allow “{permission.value}”. Ask an owner.")


@dataclass(frozen=True)
class Service(Generic[T]):
    """A write that carries its own permission; nobody can call the one without the other."""

    permission: Permission
    body: Callable[..., T]

    def __call__(self, subject: Any, /, *, by: Any, **kwargs: Any) -> T:
        # `by` is a User; Django's types think that request.user may be nobody, but every door has asked before.
        project = subject if isinstance(subject, Project) else subject.project
        require(by, self.permission, project)
        return self.body(subject, by=by, **kwargs)


def requires(permission: Permission) -> Callable[[Callable[..., T]], Service[T]]:
    """Declare the permission of a service, once, where the service is written."""
    return partial(Service, permission)
