"""Whether this process lives, and whether it can serve: asked by whatever runs it."""

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

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
        ages = workers.canary_ages()
    except Error:
        away = JsonResponse({"status": "unavailable", "database": "does not answer"}, status=503)
        away["Retry-After"] = str(RETRY_SECONDS)
        return away
    canaries = {
        queue: {"age_seconds": age, "late": age is None or age > settings.CANARY_LIMIT_SECONDS}
        for queue, age in ages.items()
    }
    return JsonResponse({"status": "ok", "database": "ok", "canaries": canaries})
