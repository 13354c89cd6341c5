"""One database filled and asked: `python -m benchmarks.lineage.one`, on the database of DATABASE_URL."""

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 9


def main() -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    from config import wsgi  # noqa: F401 - as in the web process: loaded and frozen

    settings.ALLOWED_HOSTS = ["*"]
    call_command("migrate", verbosity=0)
    from benchmarks.lineage.filling import fill

    project, owner = fill(int(os.environ.get("NODES", "10000")))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET synchronous_commit = on")
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    print(json.dumps(measure(project, owner)))


def measure(project: Any, owner: Any) -> dict[str, Any]:
    """Medians in milliseconds; of the node that most descends from, and of one adapter."""
    from projects import lineage, withdrawals
    from projects.domain.staleness import Cause

    known = lineage.whole(project)
    sources = [name for name in known.briefs if not known.graph.parents.get(name)]
    widest = max(sources, key=lambda name: len(known.graph.descendants(name)))
    base, adapter = (next(name for name in known.briefs if name.startswith(kind)) for kind in ("base:", "adapter:"))
    found: dict[str, Any] = {
        "nodes": len(known.briefs),
        "edges": len(known.edges),
        "reached": lineage.impact(project, widest).total,
        "impact_ms": timed(lambda: lineage.impact(project, widest)),
        "impact_cpu_ms": timed(lambda: lineage.impact(project, widest), time.process_time),
        "impact_small_ms": timed(lambda: lineage.impact(project, adapter)),
        "graph_page_ms": timed(page(project, owner, "")),
        "graph_page_cpu_ms": timed(page(project, owner, ""), time.process_time),
        "focus_page_ms": timed(page(project, owner, f"focus={base}&node={base}")),
        "live_page_ms": timed(page(project, owner, "ask=live")),
        "node_piece_ms": timed(page(project, owner, f"node={base}", piece=True)),
    }
    withdrawals.withdraw(project, node=base, label=base, cause=Cause.WITHDRAWN, reason="measured", by=owner)
    found["stale_one_ms"] = timed(lambda: lineage.stale(project, adapter))
    found["graph_page_stale_ms"] = timed(page(project, owner, ""))
    return found


def page(project: Any, owner: Any, query: str, piece: bool = False) -> Callable[[], Any]:
    """The view with its template, as a request of somebody who is signed in."""
    from django.test import RequestFactory
    from django.urls import reverse
    from django_htmx.middleware import HtmxDetails

    from deployments.views.lineage import Lineage

    view, address = Lineage.as_view(), reverse("lineage", args=[project.slug])

    def ask() -> None:
        request: Any = RequestFactory().get(f"{address}?{query}", headers={"HX-Request": "true"} if piece else {})
        request.user, request.htmx = owner, HtmxDetails(request)
        response = view(request, project=project.slug)
        if response.status_code != 200:
            raise SystemExit(f"{query}: {response.status_code}")

    return ask


def timed(ask: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """By the clock on the wall; by the processor's where others work beside."""
    ask()
    found = []
    for _ in range(ROUNDS):
        began = clock()
        ask()
        found.append((clock() - began) * 1000)
    return round(statistics.median(found), 1)


if __name__ == "__main__":
    main()
