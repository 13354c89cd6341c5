"""Our side, on the database of this process's settings: `python -m benchmarks.metrics.ours FOLDER`."""

import http.client
import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import installation

ADDRESS = "127.0.0.1:8197"
STEPS_A_LINE = 500  # with two metrics: a thousand points
CALLS = 31
POINTS = int(os.environ.get("POINTS", "1000000"))


def lines(points: int) -> Iterator[str]:
    """What an engine would print of a run with `points` steps: a loss that falls and shakes, and its gradients."""
    chance = random.Random(7)
    for first in range(1, points + 1, STEPS_A_LINE):
        steps = list(range(first, min(points, first + STEPS_A_LINE - 1) + 1))
        loss = [2 / math.sqrt(step) + chance.gauss(0, 0.05) for step in steps]
        norm = [abs(chance.gauss(1, 0.2)) for _ in steps]
        event = {"event": "metrics", "step": steps[-1], "values": {}, "steps": steps}
        yield json.dumps(event | {"each": {"loss": loss, "grad_norm": norm}, "tokens": 100 * steps[-1]})


def ingest(run: Any, points: int) -> float:
    """Points a second, from the line of text to the committed row."""
    from training.notes import note_run

    told = list(lines(points))
    began = time.perf_counter()
    for line in told:
        note_run(run, json.loads(line))
    return 2 * points / (time.perf_counter() - began)


def stored_bytes() -> int:
    """What the table of chunks takes with its indexes."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM FULL training_metricchunk")
            cursor.execute("SELECT pg_total_relation_size('training_metricchunk')")
        else:
            mine = "SELECT name FROM sqlite_master WHERE tbl_name = 'training_metricchunk'"
            cursor.execute(f"SELECT SUM(pgsize) FROM dbstat WHERE name IN ({mine})")
        return int(cursor.fetchone()[0])


def chart(run: Any, headers: dict[str, str]) -> dict[str, float]:
    """Milliseconds of the call that a chart of a million points makes, on a kept connection."""
    host, _, port = ADDRESS.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    path = f"/api/v1/projects/{run.project.slug}/runs/{run.pk}/metrics/?name=loss"
    taken: list[float] = []
    floor: list[float] = []
    size = 0
    for _ in range(CALLS):
        for address, times in (("/health/live", floor), (path, taken)):
            began = time.perf_counter()
            connection.request("GET", address, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            times.append((time.perf_counter() - began) * 1000)
            if answer.status != 200:
                raise SystemExit(f"{address}: {answer.status} {body[:300]!r}")
        size = len(body)
    (curve,) = json.loads(body)
    check(run, curve)
    return {"chart_1m_ms": statistics.median(taken), "floor_ms": statistics.median(floor), "chart_bytes": size}


def check(run: Any, curve: dict[str, Any]) -> None:
    """A fast answer that is wrong is none: the lowest and the highest of all points are in it."""
    from training import selectors

    _, values = selectors.curve(run, "loss")
    if curve["count"] != len(values) or len(curve["values"]) > 2000:
        raise SystemExit(f"{curve['count']} of {len(values)} points, drawn as {len(curve['values'])}")
    if {min(values), max(values)} - set(curve["values"]):
        raise SystemExit("the chart has lost the lowest or the highest point")


def claimed_run() -> tuple[Any, Any]:
    """A run that this process holds, as a supervisor would; what it stands on is only as much as it needs."""
    from datasets_app.models import Dataset, DatasetVersion
    from projects import leases
    from projects.domain.permissions import Role
    from projects.models import Membership, Project, User
    from training.domain.recipe import Recipe
    from training.models import BaseModelVersion, Run

    owner = User.objects.create_user("bench@example.org", "a long password")
    project = Project.objects.create(name="A million points", slug="a-million-points")
    Membership.objects.create(user=owner, project=project, role=Role.OWNER.value)
    data = Dataset.objects.create(project=project, name="tickets", purpose="training", created_by=owner)
    version = DatasetVersion.objects.create(
        dataset=data, number=1, created_by=owner, content_hash="0" * 64, rows=1, size_bytes=1, key="v/1", kind="sft"
    )
    base = BaseModelVersion.objects.create(
        project=project, name="base", source="local", path="b", state="succeeded", fingerprint="0" * 64,
        registered_by=owner,
    )  # fmt: skip
    Run.objects.create(
        project=project, name="a million points", method="sft", base=base, dataset_version=version, state="queued",
        recipe=Recipe().as_dict(), spec={"recipe": {}}, created_by=owner, started_by=owner,
        queued_at=leases.database_time(),
    )  # fmt: skip
    return leases.claim([Run], owner="bench/cpu/1"), owner


def main(folder: Path) -> None:
    installation.prepare(folder)
    from benchmarks.__main__ import session_of

    run, owner = claimed_run()
    found: dict[str, Any] = {"points": 2 * POINTS, "ingest_points_s": round(ingest(run, POINTS))}
    found["bytes_per_point"] = round(stored_bytes() / (2 * POINTS), 2)
    with installation.web(ADDRESS):
        found |= {name: round(value, 2) for name, value in chart(run, session_of(owner)).items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
