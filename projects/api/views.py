"""Base classes of the API's views."""

import hashlib
import json
from datetime import timedelta
from typing import Any, ClassVar

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.viewsets import GenericViewSet

from projects.access import Service
from projects.api import errors
from projects.domain import asked
from projects.domain.errors import Invalid
from projects.domain.permissions import Permission
from projects.models import IdempotencyKey, Project

KEPT_HOURS = 24


class ProjectViewSet(GenericViewSet):
    """Operations inside a project. `services` maps every writing action to the service it fronts."""

    services: ClassVar[dict[str, Service[Any]]] = {}
    permission: ClassVar[Permission] = Permission.PROJECT_VIEW
    project: Project
    filter_backends: list[Any] = []
    known_filters: ClassVar[tuple[str, ...]] = ()

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        asked.refuse_nul(request.query_params.lists())
        known_only(request, *self.known_filters)


def known_only(request: Any, *filters: str) -> None:
    """Refuse parameters that nothing would read: a filter that is silently ignored shows too much."""
    for name in request.query_params:
        if name not in {"page_size", "cursor", "format", *filters}:
            raise Invalid(f"“{name}” is not a filter of this list.", code="unknown_filter", field=name)


class Idempotent:
    """`Idempotency-Key: …` on a POST: the first answer is kept for a day and given again."""

    def create_once(self, request: Any, make: Any) -> Response:
        """`make() -> Response`, called at most once per key of this user."""
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return make()
        if len(key) > 100 or not key.isprintable():
            return errors.answer("invalid_key", "An Idempotency-Key has 1 to 100 printable characters.", 400)
        wanted = request_hash(request)
        self._forget_old(request.user)
        try:
            with transaction.atomic():
                # The row is written first, so of two rivals one waits here for the other's answer.
                row = IdempotencyKey.objects.create(user=request.user, key=key, request_hash=wanted)
                response = make()
                row.status, row.body = response.status_code, _plain(response.data)
                row.save()
                return response
        except IntegrityError:
            if not IdempotencyKey.objects.filter(user=request.user, key=key).exists():
                raise  # not about the key
            return self._again(request.user, key, wanted)

    def _again(self, user: Any, key: str, wanted: str) -> Response:
        row = IdempotencyKey.objects.get(user=user, key=key)
        if row.request_hash != wanted:
            return errors.answer("key_reused", "This Idempotency-Key was used for another request.", 409)
        return Response(row.body, status=row.status)

    def _forget_old(self, user: Any) -> None:
        limit = timezone.now() - timedelta(hours=KEPT_HOURS)
        IdempotencyKey.objects.filter(user=user, created_at__lt=limit).delete()


def _plain(data: Any) -> Any:
    return json.loads(json.dumps(data, cls=JSONEncoder))


def request_hash(request: Any) -> str:
    """What makes two requests the same: method, address and content; of files their names and bytes."""
    digest = hashlib.sha256(f"{request.method} {request.path}\n".encode())
    for name in sorted(request.data):
        value = request.data[name]
        digest.update(f"{name}=".encode())
        if hasattr(value, "chunks"):
            digest.update(value.name.encode())
            for chunk in value.chunks():
                digest.update(chunk)
            value.seek(0)
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()
