"""Run by test_webhooks_worker in a process of its own: a whole installation tells a receiver and a mail server.

python -m tests.integration.webhook_probe FOLDER PORT: by a message; after a courier that was killed between sending and
noting; and while the broker is killed again and again.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks import installation
from tests.factories.mailbox import mailbox

FAULTS = "faults"


def until(true: Any, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def no_broker(manager: psutil.Process) -> Iterator[list[int]]:
    """Whatever broker the manager starts is killed at once."""
    killed, over = [], threading.Event()

    def hunt() -> None:
        while not over.wait(0.1):
            for process in installation.find(manager, "broker.sock"):
                try:
                    process.kill()
                    killed.append(process.pid)
                except psutil.Error:
                    pass

    thread = threading.Thread(target=hunt)
    thread.start()
    try:
        assert until(lambda: killed)
        yield killed
    finally:
        over.set()
        thread.join()


class Probe:
    def __init__(self, url: str) -> None:
        from projects.models import Project, User
        from projects.services import webhooks

        self.owner = User.objects.create_user("owner@luthier.example", "not used to sign in")
        self.project = Project.objects.create(name="Probe", slug="probe")
        self.project.memberships.create(user=self.owner, role="owner")
        self.endpoint, self.secret = webhooks.create_endpoint(self.project, by=self.owner, url=url, events=["*"])

    def upload(self, text: str) -> Any:
        from django.core.files.uploadedfile import SimpleUploadedFile

        from datasets_app import services

        dataset = services.create_dataset(
            self.project, by=self.owner, name=f"Rows {time.time_ns()}", purpose="training"
        )
        upload = services.accept_upload(dataset, by=self.owner, file=SimpleUploadedFile("rows.jsonl", text.encode()))
        assert installation.wait(upload, 60)
        return upload

    def ping(self) -> str:
        from projects.services import webhooks

        return webhooks.ping_endpoint(self.endpoint, by=self.owner).event.uid


def main(folder: str, port: str) -> None:
    from tests.factories import plain_receiver

    place = Path(folder)
    (place / FAULTS).mkdir(parents=True)
    with plain_receiver.receiving() as receiver, mailbox() as box:
        installation.prepare(
            place,
            LUTHIER_WEBHOOK_HOSTS="127.0.0.1",
            LUTHIER_SEND_LEASE_SECONDS="3",
            LUTHIER_MAIL_GROUP_SECONDS="1",
            EMAIL_URL=f"smtp://127.0.0.1:{box.port}",
            LUTHIER_FAULT=str(place / FAULTS),
            LUTHIER_TEST_INSTALLATION="1",
        )
        print(json.dumps(tell(place, port, receiver, box)))


def tell(place: Path, port: str, receiver: Any, box: Any) -> dict[str, Any]:
    from projects import invariants
    from projects.models import Delivery, DeliveryAttempt

    probe = Probe(receiver.url)
    result: dict[str, Any] = {}
    with installation.processes(f"127.0.0.1:{port}") as manager:
        time.sleep(3)  # let the worker connect
        probe.upload("this is no row\n")
        result["failed"] = until(lambda: "version.failed" in receiver.types)
        result["mail"] = until(lambda: box.seen)
        uid = probe.ping()
        result["by_message"] = until(lambda: uid in receiver.ids)
        until(lambda: not Delivery.objects.exclude(state="delivered").exists())

        (place / FAULTS / "sending.sent").write_text("kill")
        uid = probe.ping()
        result["killed"] = until(lambda: list((place / FAULTS / "taken").glob("sending.sent~*")))
        result["again"] = until(lambda: receiver.ids.count(uid) == 2)
        until(lambda: not Delivery.objects.exclude(state="delivered").exists())
        result["lost_tries"] = DeliveryAttempt.objects.filter(code="sender_lost").count()

        with no_broker(manager) as killed:
            uid = probe.ping()
            result["without_broker"] = until(lambda: uid in receiver.ids)
            result["brokers_killed"] = len(set(killed))
        until(lambda: not Delivery.objects.exclude(state="delivered").exists())
        result["states"] = sorted(set(Delivery.objects.values_list("state", flat=True)))
        result["broken"] = [one.sentence for one in invariants.check(deep=True)]
    result["signed"] = all(one.is_signed_with(probe.secret) for one in receiver.got)
    result["letters"] = [[letter["To"], letter["Subject"], letter["List-Unsubscribe-Post"]] for letter in box.seen]
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
