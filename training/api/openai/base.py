"""What all addresses of the OpenAI API share: the token decides the project, errors and lists have their shapes."""

from collections.abc import Callable, Sequence
from typing import Any

from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from projects.api.authentication import TokenAuthentication
from projects.api.parsers import StrictJSONParser
from projects.api.permissions import ServicePermission
from projects.api.views import ProjectViewSet
from projects.domain import asked
from projects.domain.errors import Invalid
from projects.domain.permissions import Permission
from projects.services import throttling
from projects.services.throttling import Limit
from training.api.openai import errors

WRITES = Limit("openai-writes", count=120, seconds=60)  # by token
MOST_LISTED = 10_000


class NotThisProject(Invalid):
    """The client names a project that is not the token's."""

    status = 401
    code = "mismatched_project"


class TokenProject(ServicePermission):
    """A token opens one project, so that is the one; a header that names another is refused."""

    def has_permission(self, request: Any, view: Any) -> bool:
        if request.auth is None:
            return False
        slug = request.auth.project.slug
        wanted = request.headers.get("OpenAI-Project", "")
        if wanted not in ("", slug):
            raise NotThisProject(
                f"This key is of the project “{slug}”, and the header OpenAI-Project names another. Leave it out, or "
                "use a key of that project."
            )
        view.kwargs["project"] = slug
        return super().has_permission(request, view)


class AnyMember(TokenProject):
    """Whoever has a key may be told that an address is not served."""

    def needed(self, request: Any, view: Any) -> Permission:
        return Permission.PROJECT_VIEW


class OpenAIViewSet(ProjectViewSet):
    """Kept out of our own description of the API: docs/openai.md says which part of theirs this is."""

    schema = None
    authentication_classes = [TokenAuthentication]
    permission_classes = [TokenProject]
    parser_classes: Any = [StrictJSONParser]

    def perform_content_negotiation(self, request: Any, force: bool = False) -> tuple[Any, str]:
        """Clients ask for application/binary where bytes come; everything else is JSON whatever they ask for."""
        return JSONRenderer(), JSONRenderer.media_type

    def get_exception_handler(self) -> Callable[..., Any]:
        return errors.handle

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        asked.refuse_nul(request.query_params.lists())
        if request.method not in {"GET", "HEAD", "OPTIONS"}:
            throttling.count(WRITES, str(request.auth.pk))


class UnknownUrl(OpenAIViewSet):
    """Everything of theirs that is not here."""

    permission_classes = [AnyMember]

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)
        self.check_permissions(request)

    def retrieve(self, request: Any, **kwargs: Any) -> Response:
        raise errors.UnknownUrl(
            f"Unknown request URL: {request.method} {request.path[:200]}. Of this API there are files, "
            "fine_tuning/jobs and models."
        )


def page(request: Any, ids: Sequence[str], *, usual: int, most: int = 100) -> tuple[list[str], bool]:
    """The ids that `after` and `limit` ask for, and whether there are more behind them."""
    limit = whole(request, "limit", usual, most)
    after, start = request.query_params.get("after"), 0
    if after:
        if after not in ids:
            raise Invalid(
                f"There is nothing called “{after[:60]}” to go on after.", code="invalid_value", field="after"
            )
        start = list(ids).index(after) + 1
    return list(ids[start : start + limit]), len(ids) > start + limit


def whole(request: Any, name: str, usual: int, most: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= most or len(text) > 9:
        raise Invalid(f"{name} must be a whole number from 1 to {most:,}.", code="invalid_value", field=name)
    return int(text)


def listed(data: list[dict[str, Any]], has_more: bool) -> Response:
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return Response({"object": "list", "data": data, "has_more": has_more, "first_id": first, "last_id": last})


def found(row: Any, what: str, public_id: str) -> Any:
    """The row, or their 404."""
    if row is None:
        raise Missing(f"No such {what}: {public_id[:80]}")
    return row


class Missing(Invalid):
    status = 404
    code = "not_found"
