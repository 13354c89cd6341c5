"""What people do meanwhile: they start, cancel, pause and resume runs and send files, all through the API."""

import hashlib
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from django.db import Error, connection

from benchmarks.chaos.client import Client, Unanswered

RECIPE = {
    "method": "sft", "rank": 2, "alpha": 4, "epochs": 4, "batch_size": 8, "max_length": 128, "checkpoint_steps": 3,
}  # fmt: skip
# The real engine needs steps that take a while, or nobody could disturb it.
REAL = RECIPE | {"rank": 8, "alpha": 16, "epochs": 12, "checkpoint_steps": 10}
OVER = ("succeeded", "failed", "cancelled")


@dataclass
class Promise:
    """One run as its owner knows it: what was accepted, what was asked for since."""

    name: str
    plan: str
    run: int = 0
    accepted: bool = False
    cancel_accepted: bool = False
    paused: int = 0
    given_up: str = ""


@dataclass
class Seen:
    state: str
    fence: int
    step: int


class Watcher:
    """One thread that reads the states of all runs, so that nobody else has to ask."""

    def __init__(self) -> None:
        self.runs: dict[int, Seen] = {}
        self.uploads: dict[int, str] = {}

    def look(self) -> None:
        from datasets_app.models import Upload
        from training.models import Run

        try:
            rows = Run.objects.values_list("pk", "state", "fence", "step")
            self.runs = {pk: Seen(state, fence, step) for pk, state, fence, step in rows}
            self.uploads = dict(Upload.objects.values_list("pk", "state"))
        except Error:  # the database is dead for the moment, as it should be now and then
            connection.close()

    def active(self) -> list[int]:
        return [pk for pk, seen in self.runs.items() if seen.state in {"queued", "running"}]


@dataclass
class Workload:
    """Clients that keep a few runs going until they are told to stop."""

    client: Client
    project: str
    base: int
    version: int
    dataset: int
    rng: random.Random
    watcher: Watcher
    clients: int = 5
    real_left: int = 0
    promises: list[Promise] = field(default_factory=list)
    uploads: list[int] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    enough: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        self.threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(self.clients)]
        for thread in self.threads:
            thread.start()

    def _serve(self) -> None:
        while not self.enough.is_set():
            promise = self._promise()
            try:
                self.fulfil(promise)
            except Unanswered as problem:
                promise.given_up = str(problem)

    def _promise(self) -> Promise:
        with self.lock:
            number = len(self.promises) + 1
            plan = self.rng.choices(["plain", "cancel", "pause", "again", "fail"], [72, 8, 12, 5, 3])[0]
            if self.real_left:
                self.real_left, plan = self.real_left - 1, "real"
            promise = Promise(f"{plan} {number}", plan)
            self.promises.append(promise)
        return promise

    def fulfil(self, promise: Promise) -> None:
        self.begin(promise)
        time.sleep(self.rng.uniform(0.3, 2.5))
        if promise.plan in {"cancel", "again"}:
            self.cancel(promise)
        if promise.plan == "again":
            self.wait(promise)
            self.begin_anew(promise)
        if promise.plan == "pause":
            self.pause(promise)
            time.sleep(self.rng.uniform(0, 2))
            self.resume(promise)
        self.wait(promise)

    def begin(self, promise: Promise) -> None:
        """Created under a key, so that asking again makes no second one; started until somebody says that it is."""
        body = {
            "name": promise.name, "base": self.base, "dataset_version": self.version,
            "recipe": REAL if promise.plan == "real" else RECIPE,
        }  # fmt: skip
        made = self.client.post(f"{self.project}/runs/", body, key=f"{self.project}-{promise.name}")
        if made.status != 201:
            raise SystemExit(f"a run was not created: {made}")
        promise.run = made.body["id"]
        answer = self.client.post(f"{self.project}/runs/{promise.run}/start/")
        promise.accepted = answer.status == 202 or answer.body.get("code") == "already_started"
        if not promise.accepted:
            raise SystemExit(f"a run was not started: {answer}")

    def cancel(self, promise: Promise) -> None:
        answer = self.client.post(f"{self.project}/runs/{promise.run}/cancel/", {"reason": "chaos"})
        promise.cancel_accepted = answer.status == 202
        self.did[f"cancel {answer.status}"] += 1

    def begin_anew(self, promise: Promise) -> None:
        """A cancelled run is retried from its first step; from then on it must succeed."""
        if self.state(promise) != "cancelled":
            return
        answer = self.client.post(f"{self.project}/runs/{promise.run}/retry/", {"start_at": 0})
        self.did[f"retry {answer.status}"] += 1
        if answer.status == 202:
            promise.cancel_accepted = False

    def pause(self, promise: Promise) -> None:
        answer = self.client.post(f"{self.project}/runs/{promise.run}/pause/", {"reason": "chaos"})
        promise.paused += answer.status == 202
        self.did[f"pause {answer.status}"] += 1

    def resume(self, promise: Promise) -> None:
        """A wish to pause that is not fulfilled yet is waited for; a run that ended meanwhile needs nothing."""
        if not promise.paused:
            return
        while not self.state(promise) or self.state(promise) in {"queued", "running"}:
            if self.enough.wait(0.2):
                break
        if self.state(promise) == "paused":
            answer = self.client.post(f"{self.project}/runs/{promise.run}/resume/")
            self.did[f"resume {answer.status}"] += 1

    def state(self, promise: Promise) -> str:
        seen = self.watcher.runs.get(promise.run)
        return seen.state if seen else ""

    def wait(self, promise: Promise) -> None:
        while self.state(promise) not in OVER and not self.enough.wait(0.2):
            if self.state(promise) == "paused":  # the wish came true after its owner had gone on
                self.resume(promise)

    def upload(self) -> int:
        """A file in parts, through all the steps that a browser takes; each of them may be asked again."""
        number = len(self.uploads) + self.did["discarded"]
        rows = [{"prompt": f"question {number} {n}", "completion": f"answer {n}"} for n in range(40)]
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        body = {"dataset": self.dataset, "file_name": f"{number}.jsonl", "size": len(content)}
        begun = self.client.post(f"{self.project}/incoming/", body, key=f"{self.project}-file-{number}")
        place, size = f"{self.project}/incoming/{begun.body['id']}", begun.body["part_size"]
        for part in range(0, len(content), size):
            piece = content[part : part + size]
            headers = {
                "Content-Type": "application/octet-stream",
                "X-Content-SHA256": hashlib.sha256(piece).hexdigest(),
            }
            self.client.ask("PUT", f"{place}/parts/{part // size}/", piece, headers)
        if number % 4 == 3:
            self.client.ask("DELETE", f"{place}/", None, {})
            self.did["discarded"] += 1
            return 0
        finished = self.client.post(f"{place}/finish/")
        self.did[f"finish {finished.status}"] += 1
        self.uploads.append(finished.body["id"])
        return int(finished.body["id"])

    def finish(self, seconds: float) -> list[Promise]:
        """No new runs; paused ones go on; returns what is not over when time is up."""
        self.enough.set()
        for thread in self.threads:
            thread.join(seconds)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.watcher.look()
            left = [one for one in self.promises if one.accepted and self.state(one) not in OVER]
            busy = [pk for pk, state in self.watcher.uploads.items() if state in {"queued", "running"}]
            if not left and not busy:
                return []
            for promise in left:
                if self.state(promise) == "paused":
                    self._answer_quietly(promise)
            time.sleep(0.2)
        return left

    def _answer_quietly(self, promise: Promise) -> None:
        try:
            self.client.post(f"{self.project}/runs/{promise.run}/resume/")
        except Unanswered as problem:
            promise.given_up = str(problem)
