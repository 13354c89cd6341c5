"""Whether this process lives, and whether it can serve: asked by whatever runs it."""

from typing import Any

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from projects.models import InvariantCheck
from projects.selectors import workers
from projects.views.errors import RETRY_SECONDS


@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """The database decides; how long ago a canary came through each queue is told along, for whoever watches."""
    try:
        ages, invariants = workers.canary_ages(), _invariants()
    except Error:
        away = JsonResponse({"status": "unavailable", "database": "does not answer"}, status=503)
        away["Retry-After"] = str(RETRY_SECONDS)
        return away
    canaries = {
        queue: {"age_seconds": age, "late": age is None or age > settings.CANARY_LIMIT_SECONDS}
        for queue, age in ages.items()
    }
    return JsonResponse({"status": "ok", "database": "ok", "canaries": canaries, "invariants": invariants})


def _invariants() -> dict[str, Any]:
    """What the last periodic check said. A broken one is for people to look at; this process can serve all the same."""
    last = InvariantCheck.objects.order_by("-began_at").first()
    if last is None:
        return {"status": "not checked yet"}
    names = [one["name"] for one in last.broken]
    return {"status": "broken" if names else "hold", "broken": names, "checked_at": last.began_at.isoformat()}
