"""make bench-pages ROWS=1000000: how fast pages of a version of that size answer, alone and while a file is read.

A whole installation is started in a scratch folder; the generated file of ROWS rows is brought and read by its own
workers. Then every page that the version's own pages link to, and searches for common, rare and absent words, are
asked for over HTTP on one kept connection. The last line is one JSON object: milliseconds at the median and at p95.
"""

import http.client
import json
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from benchmarks import installation
from benchmarks.data import generator
from benchmarks.data.vocabulary import language

ADDRESS = "127.0.0.1:8195"
MOST_LINKS, ROUNDS = 40, 15
LINK = re.compile(r'href="([^"#]+)"')
FILES = re.compile(r"export|download|bad-rows|\.(csv|jsonl|zip)")  # links that hand out files are no pages


class Visitor:
    """One signed-in person on one kept connection."""

    def __init__(self, user: Any) -> None:
        from benchmarks.__main__ import session_of

        host, _, port = ADDRESS.partition(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=120)
        self.headers = session_of(user)

    def get(self, path: str) -> tuple[int, str]:
        try:
            self.connection.request("GET", path, headers=self.headers)
            answer = self.connection.getresponse()
        except http.client.RemoteDisconnected:  # the server closes connections that were idle for a while
            self.connection.close()
            self.connection.request("GET", path, headers=self.headers)
            answer = self.connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")

    def timed(self, path: str) -> float:
        """Milliseconds of the whole answer."""
        began = time.perf_counter()
        status, body = self.get(path)
        if status != 200:
            raise SystemExit(f"{path}: {status} {body[:300]}")
        return (time.perf_counter() - began) * 1000


class Watch:
    """The most memory that any reading child has held, by the kernel's own high-water mark."""

    def __init__(self, manager: psutil.Process) -> None:
        self.peak_mb = 0.0
        self._manager, self._over = manager, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.3):
            try:
                children = installation.find(self._manager, "datasets_app.engine")
            except psutil.NoSuchProcess:
                return  # the installation has ended
            for child in children:
                try:
                    status = Path(f"/proc/{child.pid}/status").read_text()
                except OSError:
                    continue
                if found := re.search(r"VmHWM:\s+(\d+)", status):
                    self.peak_mb = max(self.peak_mb, int(found[1]) / 1024)

    def end(self) -> float:
        self._over.set()
        self._thread.join()
        return round(self.peak_mb)


def bring(dataset: Any, owner: Any, source: Path) -> Any:
    from django.core.files import File

    from datasets_app import services

    with source.open("rb") as opened:
        return services.accept_upload(dataset, by=owner, file=File(opened, name=source.name))


def read(upload: Any) -> dict[str, float]:
    """Seconds from the moment the upload was queued to its first rows on the page, and to its version."""
    began, first = time.monotonic(), 0.0
    while not upload.is_over:
        time.sleep(0.05)
        upload.refresh_from_db()
        if upload.samples and not first:
            first = time.monotonic() - began
    if upload.state != "succeeded":
        raise SystemExit(f"{upload} {upload.state}: {upload.error_code} {upload.error_message} {upload.error_detail}")
    return {"first_rows_s": round(first, 2), "version_s": round(time.monotonic() - began, 1)}


def addresses(visitor: Visitor, version: Any) -> list[str]:
    """The version's pages: itself, what it links to, and searches."""
    from django.urls import reverse

    home = version.get_absolute_url()
    rows = reverse("version-rows", args=[version.project.slug, version.pk])
    found = {home: None, rows: None}
    for page in (home, rows):
        _, body = visitor.get(page)
        for link in LINK.findall(body):
            address = link.replace("&amp;", "&")
            address = page + address if address.startswith("?") else address
            if address.startswith(home) and not FILES.search(address):
                found.setdefault(address)
    common, rare = language("en", generator.SEED).words[5], language("de", generator.SEED).words[20_000]
    words = [common, rare, f"{common} {rare}", "nowheretobefound", "的"]
    return list(found)[:MOST_LINKS] + [f"{rows}?q={quote(str(word))}" for word in words]


def measured(visitor: Visitor, paths: list[str], until: Any = None) -> dict[str, dict[str, float]]:
    """Every page in turn, again and again, at least ROUNDS times or for as long as `until` says."""
    times: dict[str, list[float]] = {path: [] for path in paths}
    for path in paths:
        visitor.timed(path)
    for number in count():
        if number >= ROUNDS if until is None else not until():
            break
        for path in paths:
            times[path].append(visitor.timed(path))
    return {path: {"median": round(statistics.median(t), 1), "p95": round(p95(t), 1)} for path, t in times.items() if t}


def p95(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.95))]


def worst(found: dict[str, dict[str, float]]) -> dict[str, Any]:
    page = max(found, key=lambda path: found[path]["median"])
    return {"pages": len(found), "slowest": page, **found[page]}


def main() -> None:
    rows = int(os.environ.get("ROWS", "1000000"))
    source = generator.paths(rows)["data"]
    if not source.exists():
        generator.generate(rows)
    generator.FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pages-", dir=generator.FOLDER) as name:
        installation.prepare(Path(name), ALLOWED_HOSTS="127.0.0.1")
        from datasets_app import services as datasets
        from projects.models import Project, User

        owner = User.objects.create_user("owner@luthier.example", "not used to sign in")
        project = Project.objects.create(name="Pages", slug="pages")
        project.memberships.create(user=owner, role="owner")
        first, second = (datasets.create_dataset(project, by=owner, name=n, purpose="training") for n in ("One", "Two"))
        with installation.processes(ADDRESS) as manager:
            watch = Watch(manager)
            upload = bring(first, owner, source)
            figures: dict[str, Any] = {"rows": rows, "reading": read(upload)}
            print(json.dumps(figures), file=sys.stderr, flush=True)
            visitor = Visitor(owner)
            paths = addresses(visitor, upload.version)
            quiet = measured(visitor, paths)
            print(json.dumps({"quiet": worst(quiet), "pages": quiet}), file=sys.stderr, flush=True)
            again = bring(second, owner, source)
            busy = measured(visitor, paths, until=lambda: not _over(again))
            figures |= {"worker_peak_mb": watch.end()}
    figures |= {"quiet": worst(quiet), "while_reading": worst(busy) if busy else {}}
    figures["median_of_all_ms"] = round(statistics.median(page["median"] for page in quiet.values()), 1)
    table = sorted(quiet, key=lambda path: -quiet[path]["median"])
    for path in table:
        print(f"| {path} | {quiet[path]} | {busy.get(path, '')} |", file=sys.stderr)
    print(json.dumps(figures))


def _over(upload: Any) -> bool:
    upload.refresh_from_db()
    return bool(upload.is_over)


if __name__ == "__main__":
    main()
