"""Errors in the shape that the OpenAI API has: {"error": {"message", "type", "param", "code"}}."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from projects.api.errors import _first
from projects.domain.errors import Refused
from projects.services.throttling import TooMany

INVALID = "invalid_request_error"
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
BAD_KEY = (
    "Incorrect API key provided. Use a token of your project, made under “API tokens” (it begins with lut_), as the "
    "API key."
)


class UnknownUrl(Refused):
    """An address of theirs that is not served here."""

    status = 404
    code = "unknown_url"


def answer(message: str, status: int, code: str | None, param: str | None = None) -> Response:
    """Clients try again after 409 and 429 by themselves; what a person has to change is not worth it."""
    error = {"message": message, "type": TYPES.get(status, INVALID), "param": param, "code": code}
    response = Response({"error": error}, status=status)
    if 400 <= status < 500 and status != 429:
        response["x-should-retry"] = "false"
    return response


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(exc, TooMany):
        response = answer(f"Rate limit reached. {exc.message}", 429, "rate_limit_exceeded")
        response["Retry-After"] = str(exc.seconds)
        return response
    if isinstance(exc, Refused):
        return answer(exc.message, exc.status, exc.code, exc.field)
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        response = answer(BAD_KEY, 401, "invalid_api_key")
        response["WWW-Authenticate"] = "Bearer"
        return response
    return _of_framework(exc, context)


def _of_framework(exc: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(exc, Http404 | exceptions.NotFound):
        return answer("There is nothing here, or it is not yours to see.", 404, "not_found")
    if isinstance(exc, PermissionDenied | exceptions.PermissionDenied):
        return answer(str(exc) or "Your role does not allow this.", 403, "insufficient_permissions")
    usual = exception_handler(exc, context)
    if usual is None or not isinstance(exc, exceptions.APIException):
        return usual
    field, detail = _first(exc.detail)
    return answer(str(detail), usual.status_code, str(detail.code), field or None)
