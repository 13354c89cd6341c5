"""Answers to what went wrong: pages for people, {"code", "message"} for programs."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template import loader

RETRY_SECONDS = 10


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    message = str(exception or "") or "Your role does not allow this."
    if _is_api(request):
        return JsonResponse({"code": "permission_denied", "message": message}, status=403)
    return render(request, "403.html", {"exception": message}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if _is_api(request):
        body = {"code": "not_found", "message": "There is nothing here, or it is not yours to see."}
        return JsonResponse(body, status=404)
    return render(request, "404.html", status=404)


def broken(request: HttpRequest) -> HttpResponse:
    """500, or 503 while the database is away: that passes, and a client may come back."""
    away = isinstance(sys.exc_info()[1], OperationalError | InterfaceError)
    status, code = (503, "unavailable") if away else (500, "broken")
    message = "The database is away for a moment. Try again soon." if away else "Something broke on our side."
    if _is_api(request):
        response: HttpResponse = JsonResponse({"code": code, "message": message}, status=status)
    else:
        response = HttpResponse(loader.render_to_string("500.html"), status=status)
    if away:
        response["Retry-After"] = str(RETRY_SECONDS)
    return response
