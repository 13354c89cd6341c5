"""make fuzz-uploads FILES=10000: broken files through the real door, read by the real child under its real limits.

File n of a seed is always the same: a valid file of some format and container, mutated. Each is posted to the upload
page of a scratch installation, read by a process of its own, and then the pages about it are asked for. Counted are
answers of 500 and above, children that died of a signal and supervisors that raised, and versions that are there
without their upload having succeeded, or whose files do not agree with their manifest.
The last line is {"files", "http_5xx", "worker_deaths", "partial_versions"}.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.fuzzing import mutations, seeds

ROOT = Path(__file__).resolve().parents[1]
SEED = 7
MOST_MB, MOST_CPU = 512, 10
BY_LIMIT = (-signal.SIGXCPU, -signal.SIGXFSZ)
COUNTED = ("files", "http_5xx", "worker_deaths", "partial_versions")


class Corpus:
    """Valid files, and file n made out of them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.files = list(seeds.files(random.Random(seed)))
        self.contents = [content for _, content in self.files]

    def file(self, n: int) -> tuple[str, bytes]:
        rng = random.Random(f"{self.seed}:{n}")
        name, content = rng.choice(self.files)
        container = rng.choice(seeds.CONTAINERS)
        is_text = not name.endswith(("parquet", "arrow"))
        # Inside of a container half of the mutations hit the file, half the container itself.
        if container and rng.random() < 0.5:
            broken = mutations.mutate(
                seeds.packed(content, container, name), rng, self.contents, is_text=rng.random() < 0.1
            )
        else:
            broken = seeds.packed(mutations.mutate(content, rng, self.contents, is_text=is_text), container, name)
        shown = f"{name}.{container}" if container else name
        if rng.random() < 0.1:
            shown = rng.choice(
                ("data", "data.jsonl", "data.parquet", "data.csv.gz", "../x.json", "a\x00b.zip", "x" * 300)
            )
        return shown, broken or b" "


class Fuzzer:
    """One scratch installation with its project, and the counts of what went wrong."""

    def __init__(self, corpus: Corpus) -> None:
        from django.test import Client

        from projects.domain.permissions import Role
        from projects.models import Membership, Project, User

        self.corpus = corpus
        self.user = User.objects.create_user("fuzz@example.org", "x" * 12)
        self.project = Project.objects.create(name="Fuzz", slug="fuzz")
        Membership.objects.create(project=self.project, user=self.user, role=Role.ENGINEER.value)
        self.client = Client(raise_request_exception=False)
        self.client.force_login(self.user)
        self.counts: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.trouble: list[str] = []
        self.dataset: Any = None

    def run(self, numbers: list[int], server: Any) -> dict[str, Any]:
        from datasets_app import services

        for place, n in enumerate(numbers):
            if place % 100 == 0:
                self.dataset = services.create_dataset(self.project, by=self.user, name=f"d{n}", purpose="training")
            self._file(n, server)
            if time.monotonic() - self.said > 30:
                self.said = time.monotonic()
                print(f"{place + 1} of {len(numbers)}: {dict(self.counts)}", file=sys.stderr, flush=True)
        return {"counts": dict(self.counts), "codes": dict(self.codes), "trouble": self.trouble}

    said = 0.0

    def _file(self, n: int, server: Any) -> None:
        from datasets_app.models import Upload

        name, content = self.corpus.file(n)
        self.counts["files"] += 1
        server.last = {}
        before = Upload.objects.order_by("pk").last()
        self._post(n, name, content)
        upload = Upload.objects.order_by("pk").last()
        if upload is None or upload == before:
            self.codes["refused at the door"] += 1
            return
        self._read(n)
        upload.refresh_from_db()
        self._judge(n, upload, server.last)
        self._pages(n, upload)
        self._tidy(upload)

    def _post(self, n: int, name: str, content: bytes) -> None:
        from django.core.files.uploadedfile import SimpleUploadedFile
        from django.urls import reverse

        self._answer(
            n,
            self.client.post(
                reverse("dataset-upload", args=[self.project.slug, self.dataset.pk]),
                {"file": SimpleUploadedFile(name, content)},
                headers={"accept": "application/json"},
            ),
        )

    def _read(self, n: int) -> None:
        from projects import supervision

        try:
            supervision.claim_and_start("cpu")
        except Exception as error:
            self._wrong("worker_deaths", n, f"the supervisor raised {error!r}")

    def _judge(self, n: int, upload: Any, ended: dict[str, Any]) -> None:
        self.codes[upload.error_code or upload.state] += 1
        if upload.is_active:
            self._wrong("worker_deaths", n, f"still {upload.state}")
        code = int(ended.get("returncode", 0))
        if code < 0 and code not in BY_LIMIT:
            self._wrong("worker_deaths", n, f"the child died of signal {-code}")
        elif upload.error_code == "crashed":
            self._wrong("child_errors", n, f"the child raised: {upload.error_detail[-300:]}")
        if ended.get("peak_mb", 0) > MOST_MB:
            self._wrong("memory_over_512_mb", n, f"{ended['peak_mb']:.0f} MB")
        if ended.get("cpu_s", 0) > MOST_CPU:
            self._wrong("cpu_over_10_s", n, f"{ended['cpu_s']:.1f} s")
        if why := _partial(upload):
            self._wrong("partial_versions", n, why)

    def _pages(self, n: int, upload: Any) -> None:
        for page in [upload, upload.version] if upload.version else [upload]:
            self._answer(n, self.client.get(page.get_absolute_url()))

    def _answer(self, n: int, response: Any) -> None:
        if response.status_code >= 500:
            self._wrong("http_5xx", n, f"{response.status_code} {response.request['PATH_INFO']}")

    def _wrong(self, what: str, n: int, why: str) -> None:
        self.counts[what] += 1
        self.trouble.append(f"file {n} ({self.corpus.file(n)[0][:40]!r}): {what}: {why}")

    def _tidy(self, upload: Any) -> None:
        """The files of what has been judged, so that ten thousand of them fit a small disk."""
        from django.conf import settings

        from projects import artefacts

        artefacts.delete(upload.key)
        if upload.version:
            artefacts.delete(upload.version.key)
        shutil.rmtree(settings.WORK_DIR / upload.job_label, ignore_errors=True)


def _partial(upload: Any) -> str:
    """What is wrong with the version of an upload, or with there being one; nothing if all is well."""
    from datasets_app.models import DatasetVersion
    from projects import artefacts

    if upload.state != "succeeded":
        left = upload.version_id or DatasetVersion.objects.filter(upload=None).exists()
        return f"a version though the upload is {upload.state}" if left else ""
    version = upload.version
    if version is None:
        return "" if upload.staged_key else "succeeded without a version"
    try:
        place = artefacts.fetch_directory(version.key)
    except artefacts.ArtefactDamaged as damaged:
        return str(damaged)
    import pyarrow.parquet as pq

    rows = pq.read_metadata(place / "rows.parquet").num_rows
    return "" if rows == version.rows == upload.rows_good else f"{rows} rows of {version.rows} and {upload.rows_good}"


def work(seed: int, numbers: list[int]) -> dict[str, Any]:
    """A scratch installation for these files; gone when they have been read."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    os.environ["LOG_LEVEL"] = "CRITICAL"
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.test.utils import setup_test_environment

    from projects import supervision
    from tools import forking, migrated

    try:
        setup_test_environment()
        migrated.fill_sqlite(Path(settings.DATABASES["default"]["NAME"]))
        call_command("migrate", verbosity=0)
        supervision.POLL_SECONDS = 0.05
        with forking.forking(ROOT) as server:
            return Fuzzer(Corpus(seed)).run(numbers, server)
    finally:
        shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


def fuzz(files: int, *, seed: int = SEED, first: int = 0, processes: int = 2) -> dict[str, Any]:
    """All files, shared out between the processes; the counts of all of them."""
    shares = [list(range(first + n, first + files, processes)) for n in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        parts = pool.starmap(work, [(seed, share) for share in shares if share])
    found: dict[str, Any] = {"counts": Counter(), "codes": Counter(), "trouble": []}
    for part in parts:
        found["counts"].update(part["counts"])
        found["codes"].update(part["codes"])
        found["trouble"] += part["trouble"]
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="begin with this file, to see one again")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(argv)
    began = time.monotonic()
    found = fuzz(given.files, seed=given.seed, first=given.first, processes=min(given.processes, given.files))
    print("\n".join(found["trouble"]), file=sys.stderr)
    counts = {name: found["counts"].get(name, 0) for name in COUNTED}
    others = {name: n for name, n in found["counts"].items() if name not in COUNTED}
    print(
        json.dumps({"seconds": round(time.monotonic() - began), **others, "codes": dict(found["codes"].most_common())})
    )
    print(json.dumps(counts))
    return 1 if any(counts[name] for name in COUNTED[1:]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
