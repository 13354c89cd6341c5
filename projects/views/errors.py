"""Answers to what went wrong: pages for people, {"code", "message"} for programs."""

import errno
import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template import loader

RETRY_SECONDS = 10
FULL = {errno.ENOSPC, errno.EDQUOT}


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
    """500; 503 while the database is away and 507 while the disk is full: both pass, and a client may come back."""
    status, code, message = _told(sys.exc_info()[1])
    if _is_api(request):
        response: HttpResponse = JsonResponse({"code": code, "message": message}, status=status)
    else:
        response = HttpResponse(loader.render_to_string("500.html"), status=status)
    if status != 500:
        response["Retry-After"] = str(RETRY_SECONDS)
    return response


def _told(problem: BaseException | None) -> tuple[int, str, str]:
    if isinstance(problem, OperationalError | InterfaceError):
        return 503, "unavailable", "The database is away for a moment. Try again soon."
    if isinstance(problem, OSError) and problem.errno in FULL:
        return 507, "storage_full", "The server has no room for files. Whoever runs it must make some; try again then."
    return 500, "broken", "Something broke on our side."
