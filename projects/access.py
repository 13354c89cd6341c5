"""The only door to a project. Pages, API and services all come through here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import F
from django.http import Http404

from projects.domain.permissions import GRANTS, Permission, Role
from projects.models import Membership, Project, User

T = TypeVar("T")


def project_for(user: Any, slug: str) -> Project:
    """Outsiders get 404, so that a slug's existence does not leak."""
    return entered(user, slug)[0]


def entered(user: Any, slug: str) -> tuple[Project, Role]:
    """A project by whoever enters it, and their role there, in one question."""
    return _entered(user, slug, _as_member(user, slug=slug))


def entered_among(user: Any, slug: str) -> tuple[Project, Role, list[Project]]:
    """The same together with all projects of the person by name, for a page that shows both, still in one question."""
    mine = _as_member(user)
    return *_entered(user, slug, mine), mine


def _as_member(user: Any, **also: str) -> list[Project]:
    if not user.is_authenticated:
        return []
    return list(Project.objects.raw(_question(connection.vendor, *also), [user.pk, *also.values()]))


@lru_cache(8)
def _question(vendor: str, *also: str) -> str:
    """Projects of a person with the role there: text that is put together once, which takes longer than to answer it.

    Every page and every request of the API begins with it. Its places are the person and the value of each of `also`.
    """
    nobody = User(pk=0)
    asked = Project.objects.visible_to(nobody).annotate(entered_as=F("memberships__role"))
    return asked.filter(**dict.fromkeys(also, "")).order_by("name").query.sql_with_params()[0]


def _entered(user: Any, slug: str, among: list[Project]) -> tuple[Project, Role]:
    project = next((one for one in among if one.slug == slug), None)
    if project is None:
        raise Http404
    project.entered_by = user.pk  # type: ignore[attr-defined]
    return project, Role(project.entered_as)  # type: ignore[attr-defined]


def role_of(user: Any, project: Project) -> Role | None:
    role = Membership.objects.filter(user=user, project=project).values_list("role", flat=True).first()
    return Role(role) if role else None


def may(user: Any, permission: Permission, project: Project) -> bool:
    """For what is shown: who has entered the project with this request is not asked for their role again."""
    here = getattr(project, "entered_by", None) == user.pk and user.pk is not None
    role = Role(project.entered_as) if here else role_of(user, project)  # type: ignore[attr-defined]
    return role is not None and permission in GRANTS[role]


def require(user: Any, permission: Permission, project: Project) -> None:
    check(role_of(user, project), permission)


def check(role: Role | None, permission: Permission) -> None:
    """The same for whoever has asked for the role already."""
    if role is None or permission not in GRANTS[role]:
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


def is_member(user: Any) -> bool:
    """Whether somebody belongs to any project, or runs the installation."""
    return user.is_authenticated and (user.is_staff or Membership.objects.filter(user=user).exists())


def is_operator(user: Any) -> bool:
    """Whoever runs the installation: staff; where nobody is staff yet, the one who owns every project.

    So a person who set Luthier up for themselves need not appoint themselves, and as soon as a second team has a
    project of its own, neither team stops the machines of the other.
    """
    if not user.is_authenticated or user.is_staff or user.is_superuser:
        return user.is_authenticated
    if User.objects.filter(is_active=True, is_staff=True).exists():
        return False
    owned = Project.objects.filter(memberships__user=user, memberships__role=Role.OWNER)
    return owned.exists() and not Project.objects.exclude(pk__in=owned).exists()


def require_operator(user: Any) -> None:
    if not is_operator(user):
        raise PermissionDenied("Hosts serve every project, so this is for those who run the installation. Ask them.")


@dataclass(frozen=True)
class OperatorService(Generic[T]):
    """A write that concerns the whole installation; only its operators may do it."""

    body: Callable[..., T]

    def __call__(self, subject: Any, /, *, by: Any, **kwargs: Any) -> T:
        require_operator(by)
        return self.body(subject, by=by, **kwargs)


def for_operators(body: Callable[..., T]) -> OperatorService[T]:
    """Declare a service of the installation, where it is written."""
    return OperatorService(body)
