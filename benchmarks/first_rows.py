"""make bench-first-rows [ROWS=100000] [ROUNDS=5]: how soon a person sees something of a file that has just arrived.

A whole installation is started in a scratch folder. The generated file is brought by the product's own service, and
from the moment at which the last byte is stored and the row committed, the upload's page is asked for over HTTP until
it shows the first rows, the list of errors and the counts. Each round waits until its file has been read to the end.
The last line is one JSON object: seconds, as medians of the rounds, and the worst of them.
"""

import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import installation
from benchmarks.data import generator
from benchmarks.pages import ADDRESS, Visitor, bring

PAUSE = 0.02
# What of the page shows each; a count of 0 is none yet.
SHOWN = {
    "first_rows": re.compile("First rows, read as"),
    "errors": re.compile('id="bad-rows"'),
    "counts": re.compile(r"Good rows\W(?:(?!Bad rows).)*>[^<>]*[1-9]", re.DOTALL),
}


def visible(visitor: Visitor, upload: Any) -> dict[str, float]:
    """Seconds from now until the page has shown each; the answer's own time is part of it."""
    began, seen = time.monotonic(), dict[str, float]()
    while len(seen) < len(SHOWN):
        status, page = visitor.get(upload.get_absolute_url())
        if status != 200:
            raise SystemExit(f"{upload.get_absolute_url()}: {status}")
        now = time.monotonic() - began
        seen |= {name: now for name, shows in SHOWN.items() if name not in seen and shows.search(page)}
        if now > 60:
            raise SystemExit(f"{upload} shows {sorted(seen)} after a minute")
        time.sleep(PAUSE)
    return seen


def main() -> None:
    rows, rounds = int(os.environ.get("ROWS", "100000")), int(os.environ.get("ROUNDS", "5"))
    source = generator.paths(rows)["data"]
    if not source.exists():
        generator.generate(rows)
    with tempfile.TemporaryDirectory(prefix="first-rows-", dir=generator.FOLDER) as name:
        installation.prepare(Path(name), ALLOWED_HOSTS="127.0.0.1")
        from datasets_app import services as datasets
        from projects.models import Project, User

        owner = User.objects.create_user("owner@luthier.example", "not used to sign in")
        project = Project.objects.create(name="First rows", slug="first-rows")
        project.memberships.create(user=owner, role="owner")
        found: dict[str, list[float]] = {name: [] for name in SHOWN}
        with installation.processes(ADDRESS):
            visitor = Visitor(owner)
            for number in range(rounds + 1):
                dataset = datasets.create_dataset(project, by=owner, name=f"Round {number}", purpose="training")
                upload = bring(dataset, owner, source)
                seen = visible(visitor, upload)
                print(f"round {number}: {seen}", file=sys.stderr, flush=True)
                installation.wait(upload, 600)
                if number:  # the first warms the caches of web server and disk
                    found = {name: [*found[name], seconds] for name, seconds in seen.items()}
    medians = {f"{name}_s": round(statistics.median(times), 2) for name, times in found.items()}
    print(json.dumps({"rows": rows, "rounds": rounds, **medians, "worst_s": round(max(map(max, found.values())), 2)}))


if __name__ == "__main__":
    main()
