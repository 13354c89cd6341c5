"""Every address of the product, read from its resolver: what answers there, and what it asks for."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.urls import URLPattern, get_resolver, reverse
from django.urls.resolvers import RegexPattern
from rest_framework.views import APIView

from projects.domain.permissions import Permission
from projects.pages import InstallationPage, ProjectPage

SAFE = ("get", "head", "options")
ABSENT = {"int": 999_999, "slug": "no-such-thing", "str": "no-such-thing", "path": "no/such/thing"}
ABSENT["uuid"] = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Address:
    name: str
    route: str
    converters: tuple[tuple[str, str], ...]
    view: Any

    def __str__(self) -> str:
        return self.name or self.route

    @cached_property
    def cls(self) -> type | None:
        return getattr(self.view, "view_class", None) or getattr(self.view, "cls", None)

    @property
    def is_page(self) -> bool:
        return isinstance(self.cls, type) and issubclass(self.cls, ProjectPage)

    @property
    def is_installation_page(self) -> bool:
        return isinstance(self.cls, type) and issubclass(self.cls, InstallationPage)

    @property
    def is_api(self) -> bool:
        return isinstance(self.cls, type) and issubclass(self.cls, APIView)

    @property
    def in_project(self) -> bool:
        return "project" in dict(self.converters)

    @property
    def actions(self) -> dict[str, str]:
        """HTTP method to action, of a view of the API."""
        return getattr(self.view, "actions", None) or {}

    @property
    def methods(self) -> set[str]:
        """The methods it answers, besides HEAD and OPTIONS."""
        if self.actions:
            return set(self.actions) - {"head", "options"}  # a viewset adds HEAD when it is first asked
        allowed = getattr(self.cls, "http_method_names", [])
        return {
            verb for verb in ("get", "post", "put", "patch", "delete") if verb in allowed and hasattr(self.cls, verb)
        }

    def permission(self, method: str) -> Permission:
        """What the method asks for, by what the view declares."""
        if method not in SAFE:
            service = self.cls.services[self.actions[method]] if self.is_api else self.cls.service
            return service.permission
        return getattr(self.cls, "permission", Permission.PROJECT_VIEW)

    def url(self, **known: Any) -> str:
        """The address with what is known filled in, and with what does not exist for the rest."""
        kwargs = {name: known.get(name, ABSENT[kind]) for name, kind in self.converters}
        return reverse(self.name, kwargs=kwargs)


def addresses() -> list[Address]:
    return sorted(_walk(get_resolver().url_patterns, "", ()), key=lambda address: (address.route, address.name))


def _kinds(pattern: Any) -> tuple[tuple[str, str], ...]:
    """Names and kinds of what an address holds; the routers of the API write regular expressions."""
    if isinstance(pattern, RegexPattern):
        return tuple((name, "int" if name == "pk" else "str") for name in pattern.regex.groupindex)
    return tuple(
        (name, type(converter).__name__.removesuffix("Converter").lower().replace("string", "str"))
        for name, converter in pattern.converters.items()
    )


def _walk(patterns: list[Any], route: str, converters: tuple[tuple[str, str], ...]) -> Iterator[Address]:
    for pattern in patterns:
        kinds = _kinds(pattern.pattern)
        here = route + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield Address(pattern.name or "", here, converters + kinds, pattern.callback)
        else:
            yield from _walk(pattern.url_patterns, here, converters + kinds)
