"""How fast the list of runs answers with ten thousand of them: every order and every filter, on one database.

`measure(url)` works in a child of its own, on the database of that URL, which it fills and leaves filled; it is meant
for a scratch database. `python -m benchmarks.metrics.runs_page [URL]` prints the same as one JSON object; without a
URL on a SQLite file in a scratch folder.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

RUNS, ROUNDS, SEED = 10_000, 7, 11
STATES = {"succeeded": 0.8, "failed": 0.1, "cancelled": 0.07, "draft": 0.02, "running": 0.01}


def measure(database: str) -> dict[str, Any]:
    """Milliseconds of the page's view: median and worst of the medians over all orders and filters, and which it was.

    `database` is a URL as DATABASE_URL takes it, such as sqlite:////tmp/x.sqlite3 or postgresql://….
    """
    with tempfile.TemporaryDirectory(prefix="luthier-runs-page-") as folder:
        given = {"DATABASE_URL": database, "LUTHIER_DATA": folder}
        command = [sys.executable, "-m", "benchmarks.metrics.runs_page", "--here"]
        told = subprocess.run(
            command,
            env=os.environ | given | {"DEBUG": "", "SECRET_KEY": "of-a-benchmark-" * 4},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return json.loads(told.stdout.splitlines()[-1])


def _here() -> dict[str, Any]:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    settings.ALLOWED_HOSTS = ["*"]
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET synchronous_commit = on")  # as outside of tests; VACUUM marks only what is on disk
    project, owner = _fill()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    times = {query: _timed(project, owner, query) for query in _queries(project)}
    worst = max(times, key=lambda query: times[query])
    return {
        "runs": RUNS,
        "pages": len(times),
        "median_ms": round(statistics.median(times.values()), 1),
        "worst_ms": round(times[worst], 1),
        "worst": worst or "no filter, newest first",
    }


def _timed(project: Any, owner: Any, query: str) -> float:
    """Milliseconds of the view with its template, as a request of a person who is signed in; the median of some."""
    from django.test import RequestFactory
    from django.urls import reverse
    from django_htmx.middleware import HtmxDetails

    from training.views.runs import RunList

    view, address, found = RunList.as_view(), reverse("run-list", args=[project.slug]), []
    for _ in range(ROUNDS):
        request: Any = RequestFactory().get(f"{address}?{query}")
        request.user, request.htmx = owner, HtmxDetails(request)
        began = time.perf_counter()
        response = view(request, project=project.slug)
        found.append((time.perf_counter() - began) * 1000)
        if response.status_code != 200:
            raise SystemExit(f"{query}: {response.status_code}")
    return statistics.median(found)


def _queries(project: Any) -> Iterator[str]:
    """Every order alone, at its first, a middle and its last page; every filter alone; and every pair of the two."""
    from training.domain.listing import ORDERS

    run = project.runs.order_by("pk")[RUNS // 2]
    day = run.created_at.date()
    filters: list[dict[str, Any]] = [
        {"name": "lr 3"},
        {"name": "router 77"},
        {"name": "nothing-has-this-name"},
        {"state": "succeeded"},
        {"state": "failed"},
        {"method": "dpo"},
        {"base": run.base_id},
        {"dataset_version": run.dataset_version_id},
        {"creator": run.created_by_id},
        {"since": day, "until": day + timedelta(days=30)},
        {"name": "router", "state": "succeeded", "base": run.base_id},
    ]
    for order in [turn + name for name in ORDERS for turn in ("", "-")]:
        for page in (1, 50, 100):
            yield urlencode({"order": order, "page": page})
        for chosen in filters:
            yield urlencode(chosen | {"order": order})


def _fill() -> tuple[Any, Any]:
    """A project with RUNS runs of a year, as heavy as real ones: every run with its spec and projection."""
    from projects.domain.permissions import Role
    from projects.models import Membership, Project, User
    from training.models import Run

    project = Project.objects.create(name="Ten thousand", slug=f"ten-thousand-{time.time_ns()}")
    people = [User.objects.create_user(f"{project.slug}-{n}@example.org", "a long password") for n in range(8)]
    for person in people:
        Membership.objects.create(user=person, project=project, role=Role.OWNER.value)
    rng = random.Random(SEED)
    make = _maker(project, people, rng)
    Run.objects.bulk_create((make(number) for number in range(RUNS)), batch_size=500)
    return project, people[0]


def _maker(project: Any, people: list[Any], rng: random.Random) -> Callable[[int], Any]:
    from django.utils import timezone

    from datasets_app.models import Dataset, DatasetVersion
    from training.domain.recipe import Recipe
    from training.models import BaseModelVersion, Run

    def version(n: int) -> Any:
        data = Dataset.objects.create(project=project, name=f"tickets {n}", purpose="training", created_by=people[0])
        told = {"content_hash": f"{project.pk:032x}{n:032x}", "rows": 1000, "size_bytes": 10**6, "key": f"v/{n}"}
        kinds = {"kind": "sft", "source_format": "openai-chat"}
        return DatasetVersion.objects.create(dataset=data, number=1, created_by=people[0], **told, **kinds)

    bases = [
        BaseModelVersion.objects.create(
            project=project, name=f"base-{n}", source="local", path=f"base-{n}", state="succeeded",
            fingerprint=f"{project.pk:032x}{n:032x}", registered_by=people[0],
        )
        for n in range(6)
    ]  # fmt: skip
    versions = [version(n) for n in range(40)]
    now, heavy = timezone.now(), {f"part {n}": "x" * 60 for n in range(60)}

    def run(number: int) -> Any:
        state = rng.choices(list(STATES), list(STATES.values()))[0]
        begun = None if state == "draft" else now - timedelta(hours=rng.uniform(0, 8760))
        known = begun is not None
        recipe = Recipe(seed=number, rank=rng.choice((8, 16, 32)))
        return Run(
            project=project,
            name=f"router {number % 977} lr {rng.choice((1, 3, 5))}e-4",
            method=rng.choice(("sft", "sft", "dpo")),
            base=rng.choice(bases),
            dataset_version=rng.choice(versions),
            recipe=recipe.as_dict(),
            spec={"recipe": recipe.as_dict(), **heavy} if known else {},
            projection=heavy if known else {},
            state=state,
            started_at=begun,
            lease_until=now + timedelta(days=1) if state == "running" else None,
            total_steps=400,
            step=rng.randrange(400) if known else 0,
            last_loss=rng.uniform(0.2, 3) if known else None,
            tokens_per_second=rng.uniform(500, 20_000) if known else None,
            seconds=rng.uniform(60, 90_000) if known else None,
            cost=round(rng.uniform(0.01, 80), 4) if known else None,
            created_by=rng.choice(people),
            started_by=people[0] if known else None,
        )

    return run


def main() -> None:
    if sys.argv[1:] == ["--here"]:
        print(json.dumps(_here()))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure((sys.argv[1:] or [f"sqlite:///{folder}/runs.sqlite3"])[0])))


if __name__ == "__main__":
    main()
