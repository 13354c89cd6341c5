"""make prove-upgrade: adapters of a base N are brought to N+1 (trained further) and N+2 (wider), with real engines.

An installation is started, with its workers; three adapters of N are made, two trained and one brought in from files.
To N+1: probe all (ordered by two people at once), re-evaluate all, retrain what is lost. To N+2: all of it as one
order, with a supervisor killed while it trains. The last line is {"adapters", "survived", "came_back", "lost",
"unknown", "seconds", "cost", …}, by new version and together.
"""

import io
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from benchmarks import installation
from benchmarks.engine_runs import child_environment

ROWS, GOLDEN = 300, 150
STRONG = {"method": "sft", "rank": 16, "alpha": 32, "learning_rate": 1e-3, "epochs": 3, "max_length": 128}
WEAK = {"method": "sft", "rank": 4, "alpha": 8, "learning_rate": 1e-3, "epochs": 2, "max_length": 128}
REASON = "A proof: the provider ends version N."
ALIKE = "Made-up tickets are made of the same few words; all arms are asked the same."
LIMIT = 1_800.0


class Proof:
    """One project on one installation; everything through the product's services and workers."""

    def __init__(self, manager: psutil.Process, folder: Path) -> None:
        from projects.models import Project

        self.manager, self.killed = manager, 0
        cache = installation.ROOT / "var" / "bench"
        owner, project, self.n, _ = installation.furnish(cache, ROWS, self.until)
        Project.objects.filter(pk=project.pk).update(monthly_budget=Decimal(50))
        self.owner, self.project = owner, Project.objects.get(pk=project.pk)
        self.second = self.person("second@luthier.example")
        self.data, self.golden = self.sets()
        self.bases = self.successors(folder)

    def until(self, job: Any) -> bool:
        return installation.wait(job, LIMIT)

    def done(self, job: Any) -> Any:
        if not self.until(job) or job.state != "succeeded":
            raise SystemExit(f"{job} is {job.state}: {job.error_code} {job.error_message} {job.error_detail[-2000:]}")
        return job

    def person(self, email: str) -> Any:
        from projects.models import User

        user = User.objects.create_user(email, "not used to sign in")
        self.project.memberships.create(user=user, role="engineer")
        return user

    def sets(self) -> list[Any]:
        """Training rows and golden rows that share no ticket; some of these few words are in each other's."""
        from django.core.files.uploadedfile import SimpleUploadedFile

        from datasets_app import services as datasets
        from demo import tickets

        found = []
        for purpose, rows in zip(("training", "golden"), tickets.routing_sets(ROWS, GOLDEN), strict=True):
            dataset = datasets.create_dataset(self.project, by=self.owner, name=f"For {purpose}", purpose=purpose)
            content = "".join(json.dumps(row) + "\n" for row in rows).encode()
            file = SimpleUploadedFile("rows.jsonl", content)
            found.append(self.done(datasets.accept_upload(dataset, by=self.owner, file=file)).version)
        return found

    def successors(self, folder: Path) -> dict[str, Any]:
        """N+1 and N+2, built beside N, registered and declared."""
        from django.conf import settings

        from deployments import services
        from training import services as training

        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.next_versions", str(self.n.folder), str(folder)]
        subprocess.run(command, cwd=installation.ROOT, env=child_environment(), check=True)
        found = {}
        for name, place in (("N+1", "n-plus-1"), ("N+2", "n-plus-2")):
            (folder / place).rename(Path(settings.MODELS_DIR) / place)
            made = training.register_base(self.project, by=self.owner, name=f"Tiny {name}", source="local", path=place)
            found[name] = self.done(made)
            services.declare_successor(self.n, by=self.owner, new=found[name])
        return found

    # Adapters of N

    def trained(self, name: str, recipe: dict[str, Any]) -> Any:
        from training import services as training

        parts = {"name": name, "base": self.n, "version": self.data, "recipe": recipe}
        self.counted(self.data)
        started = training.launch_run(self.project, by=self.owner, leak_reason=ALIKE, **parts)
        return self.done(started).adapter

    def counted(self, version: Any) -> None:
        from training import services as training

        self.done(training.measure_tokens(version, by=self.owner, base=self.n, max_length=128))

    def brought(self, name: str, like: Any) -> Any:
        """The files of an adapter as they would come from elsewhere: nobody here knows its recipe."""
        from django.core.files.uploadedfile import SimpleUploadedFile

        from training import selectors
        from training import services as training

        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for wanted in ("adapter_config.json", "adapter_model.safetensors"):
                archive.write(selectors.adapter_path(like) / wanted, wanted)
        file = SimpleUploadedFile("adapter.zip", packed.getvalue())
        made = training.import_adapter(
            self.project, by=self.owner, name=name, source="a partner", files=[file], base=self.n
        )
        return self.done(made).adapter

    def judged(self, adapter: Any) -> Any:
        from evaluation import services as judging

        return self.done(judging.start_evaluation(adapter, by=self.owner, golden=self.golden))

    # Orders

    def order(self, name: str, *steps: str, by: Any = None, **fields: Any) -> Any:
        from deployments import services

        terms = {"reason": REASON, "at_once": 2} | fields
        return services.start_upgrade(self.n, by=by or self.owner, new=self.bases[name], steps=steps, **terms)

    def twice(self, name: str, *steps: str) -> tuple[Any, int]:
        """The same order by two people at the same time, and how many orders that made."""
        from django.db import connection

        numbers: list[int] = []

        def press(by: Any) -> None:
            try:
                numbers.append(self.order(name, *steps, by=by).pk)
            finally:
                connection.close()

        threads = [threading.Thread(target=press, args=(by,)) for by in (self.owner, self.second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.project.upgrades.get(pk=numbers[0]), len(set(numbers))

    def kill_while_training(self, upgrade: Any) -> None:
        """The supervisor of the first run that trains is killed with its child; the run goes on by itself."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline and not self.killed:
            upgrade.refresh_from_db()
            if upgrade.is_over:
                return
            running = [item.retrain for item in upgrade.items.select_related("retrain") if item.retrain]
            for run in running:
                found = installation.find(self.manager, "supervise", f"training.run {run.pk} ") if run.step else []
                for process in found:
                    process.kill()
                    self.killed += 1
            time.sleep(0.2)

    def report(self, name: str) -> dict[str, Any]:
        from deployments.selectors import reports

        return reports.pair_report(self.n, self.bases[name]).as_dict()

    def still_held(self) -> Decimal:
        from projects.models import Hold

        rows = Hold.objects.filter(project=self.project, state="open")
        return sum((row.left for row in rows), Decimal(0))


def timed(what: str, work: Callable[[], Any]) -> Any:
    began = time.monotonic()
    found = work()
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)
    return found


def prove(proof: Proof) -> dict[str, Any]:
    from deployments.domain import upgrade_report

    strong = timed("an adapter of N", lambda: proof.trained("tickets, rank 16", STRONG))
    timed("another", lambda: proof.trained("tickets, rank 4", WEAK))
    timed("one from files", lambda: proof.brought("tickets, from a partner", strong))
    timed("all judged on N", lambda: [proof.judged(one) for one in proof.project.adapters.order_by("pk")])
    probed, orders = timed("ordered twice", lambda: proof.twice("N+1", "probe"))
    timed("N+1: probe all", lambda: proof.done(probed))
    timed("N+1: re-evaluate all", lambda: proof.done(proof.order("N+1", "evaluate")))
    timed("N+1: retrain what is lost", lambda: again(proof, "N+1"))
    whole = proof.order("N+2", "probe", "evaluate", "retrain")
    proof.kill_while_training(whole)
    timed("N+2: all of it as one order", lambda: proof.done(whole))
    told = {name: proof.report(name) for name in proof.bases}
    for report in told.values():
        print(upgrade_report.markdown(report), flush=True)
    return figures(told) | {
        "orders_of_two_people": orders,
        "killed": proof.killed,
        "still_held": str(proof.still_held()),
        "booked": str(sum((line.amount for line in proof.project.ledger.all()), Decimal(0))),
    }


def again(proof: Proof, name: str) -> Any:
    from projects.domain.errors import Refused

    try:
        return proof.done(proof.order(name, "retrain"))
    except Refused as refused:
        print(f"nothing was to be trained again: {refused.message}")
        return None


def figures(told: dict[str, dict[str, Any]]) -> dict[str, Any]:
    every = {name: report["counts"] | {"cost": report["cost"]} for name, report in told.items()}
    sums = {key: sum(report["counts"][key] for report in told.values()) for key in next(iter(told.values()))["counts"]}
    cost = sum((Decimal(report["cost"]) for report in told.values()), Decimal(0))
    return {"adapters": len(next(iter(told.values()))["adapters"]), **sums, "cost": str(cost), "by_version": every}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="luthier-upgrade-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        installation.prepare(folder / "data")
        with installation.processes(f"127.0.0.1:{free_port()}") as manager:
            (folder / "versions").mkdir()
            found = prove(Proof(manager, folder / "versions"))
    found["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(found))
    whole = found["orders_of_two_people"] == 1 and found["killed"] > 0 and Decimal(found["still_held"]) == 0
    seen = found["came_back"] > 0 and found["lost"] > 0 and found["unknown"] == 0
    return int(not (whole and seen))


if __name__ == "__main__":
    sys.exit(main())
