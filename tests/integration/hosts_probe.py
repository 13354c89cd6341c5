"""Run by test_hosts in a process of its own: two hosts on one machine share the work, one is drained, both stall.

python -m tests.integration.hosts_probe FOLDER PORT: host "anvil" is kept by config.processes, "forge" by nobody.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import installation

ROWS = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(30)]
CELERY = [sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "cpu,gpu", "-P", "solo", "--without-mingle"]
QUICK = {"LUTHIER_CPU_SLOTS": "1", "LUTHIER_CANARY_SECONDS": "2", "LUTHIER_CANARY_LIMIT_SECONDS": "6"}


def until(true: Callable[[], Any], seconds: float = 90) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def forge(folder: Path) -> subprocess.Popen[bytes]:
    """A second worker with a host name of its own, as if it were another machine."""
    with (folder / "forge.log").open("ab") as out:
        return subprocess.Popen(
            [*CELERY, "-n", "worker@forge"],
            cwd=installation.ROOT,
            env=os.environ | {"LUTHIER_HOST": "forge"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )


class Probe:
    def __init__(self) -> None:
        from datasets_app import services
        from projects.models import Project, User

        self.person = User.objects.create_user("owner@luthier.example", "not used to sign in", is_staff=True)
        project = Project.objects.create(name="Probe", slug="probe")
        project.memberships.create(user=self.person, role="owner")
        self.dataset = services.create_dataset(project, by=self.person, name="Rows", purpose="training")

    def work(self, count: int) -> dict[str, int]:
        """So many uploads, read to their ends; how many of them each host has read."""
        from django.core.files.uploadedfile import SimpleUploadedFile

        from datasets_app import services

        jobs = []
        for number in range(count):
            rows = [row | {"prompt": f"{number}.{time.time_ns()} {row['prompt']}"} for row in ROWS]
            content = "".join(json.dumps(row) + "\n" for row in rows).encode()
            file = SimpleUploadedFile(f"rows-{number}.jsonl", content)
            jobs.append(services.accept_upload(self.dataset, by=self.person, file=file))
        for job in jobs:
            assert installation.wait(job, 120), f"{job} is still {job.state}"
            assert (job.state, job.fence) == ("succeeded", 1), f"{job.state} {job.error_message}"
        hosts = [job.owner.partition("/")[0] for job in jobs]
        return {host: hosts.count(host) for host in sorted(set(hosts))}

    def drain(self, name: str) -> None:
        from projects.models import Host
        from projects.services import hosts

        hosts.drain_host(Host.objects.get(name=name), by=self.person, reason="a test")

    def resume(self, name: str) -> None:
        from projects.models import Host
        from projects.services import hosts

        hosts.resume_host(Host.objects.get(name=name), by=self.person)


def pids() -> dict[str, int]:
    from projects.models import WorkerProcess

    return dict(WorkerProcess.objects.order_by("beat_at").values_list("host__name", "pid"))


def main(folder: str, port: str) -> None:
    place = Path(folder)
    installation.prepare(place, LUTHIER_HOST="anvil", **QUICK)
    probe = Probe()
    with installation.processes(f"127.0.0.1:{port}"):
        other = forge(place)
        try:
            assert until(lambda: {"anvil", "forge"} <= set(pids())), f"not all announced themselves: {pids()}"
            result: dict[str, Any] = {"shared": probe.work(6)}
            probe.drain("anvil")
            result["drained"] = probe.work(3)
            probe.resume("anvil")
            result["resumed"] = probe.work(4)
            result |= stall(other)
        finally:
            other.terminate()
            other.wait(30)
    print(json.dumps(result))


def stall(other: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Both stop listening to their queues while the broker answers: each ends, and the one that is kept is back."""
    from config.celery import app
    from projects.models import Canary

    before = pids()
    for queue in ("cpu", "gpu"):
        app.control.cancel_consumer(queue)
    ended = until(lambda: other.poll() is not None)
    back = until(lambda: pids().get("anvil") not in {None, before["anvil"]})
    seen = Canary.objects.get(queue="cpu").seen_number
    return {"ended": ended, "back": back, "hears": until(lambda: Canary.objects.get(queue="cpu").seen_number > seen)}


if __name__ == "__main__":
    main(*sys.argv[1:])
