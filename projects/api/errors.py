"""Every error of the API has one shape: {"code", "message", "field"?}."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from projects.domain.errors import Refused

NOT_FOUND = {"code": "not_found", "message": "There is nothing here, or it is not yours to see."}


def _first(detail: Any, field: str = "") -> tuple[str, exceptions.ErrorDetail]:
    """The first complaint of a validation error and the path of the field it is about."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        return _first(inner, field if name == "non_field_errors" else f"{field}.{name}".strip("."))
    if isinstance(detail, list):
        return _first(detail[0], field)
    return field, detail


def answer(code: str, message: str, status_code: int, field: str | None = None) -> Response:
    body = {"code": code, "message": message} | ({"field": field} if field else {})
    return Response(body, status=status_code)


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(exc, Refused):
        return answer(exc.code, exc.message, exc.status, exc.field)
    if isinstance(exc, Http404 | exceptions.NotFound):
        return Response(NOT_FOUND, status=status.HTTP_404_NOT_FOUND)
    if isinstance(exc, PermissionDenied):
        return answer("permission_denied", str(exc) or "Your role does not allow this.", status.HTTP_403_FORBIDDEN)
    response = exception_handler(exc, context)
    if response is None or not isinstance(exc, exceptions.APIException):
        return response
    if isinstance(exc, exceptions.ValidationError):
        field, detail = _first(exc.detail)
        response.data = {"code": detail.code, "message": str(detail)} | ({"field": field} if field else {})
        return response
    _, detail = _first(exc.detail)
    response.data = {"code": detail.code, "message": str(detail)}
    return response
