"""Run by test_brokers in a process of its own: a whole installation on one broker does one upload.

python broker_probe.py FOLDER PORT: the broker is the one that CELERY_BROKER_URL names, else the embedded one.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import redis

from benchmarks import installation

# Enough to be at work for seconds, in which the broker is asked what it still holds.
ROWS = [{"prompt": f"question {n} of a customer", "completion": f"answer {n}, friendly"} for n in range(60_000)]


def unacknowledged() -> int | None:
    """Messages that the broker has handed out and not been told to forget; None where it cannot be asked."""
    from django.conf import settings

    if settings.BROKER.is_amqp:
        return rabbitmq_unacknowledged()
    client = (
        redis.Redis(unix_socket_path=str(settings.BROKER_SOCKET))
        if settings.BROKER.url.startswith("redis+socket")
        else redis.Redis.from_url(settings.BROKER.url)
    )
    with client:
        return client.hlen("unacked")


def rabbitmq_unacknowledged() -> int | None:
    """As the channels tell it: a quorum queue counts only every five seconds, and says the same in between."""
    if shutil.which("rabbitmqctl") is None:
        return None
    ask = ["rabbitmqctl", "-q", "list_channels", "--no-table-headers", "messages_unacknowledged"]
    said = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=False)
    if said.returncode:
        return None  # only the broker's own user may ask
    return sum(map(int, said.stdout.split()))


def main(folder: str, port: str) -> None:
    # The product's own timers; by the quick ones of other tests some tick is on its way at almost any moment.
    installation.prepare(Path(folder), timers={})
    from django.core.files.uploadedfile import SimpleUploadedFile

    from datasets_app import services
    from projects.models import Project, User

    owner = User.objects.create_user("owner@luthier.example", "not used to sign in")
    project = Project.objects.create(name="Probe", slug="probe")
    project.memberships.create(user=owner, role="owner")
    dataset = services.create_dataset(project, by=owner, name="Rows", purpose="training")
    content = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    with installation.processes(f"127.0.0.1:{port}"):
        time.sleep(3)  # let the worker connect, so that the wake-up and not the reconciler is measured
        began = time.monotonic()
        upload = services.accept_upload(dataset, by=owner, file=SimpleUploadedFile("rows.jsonl", content))
        held: list[int | None] = []
        while not upload.is_over and time.monotonic() - began < 120:
            upload.refresh_from_db()
            if upload.state == "running":
                held.append(unacknowledged())
            time.sleep(0.1)
        assert upload.is_over, "the upload was not read within two minutes"
        seconds = time.monotonic() - began
    result = {"state": upload.state, "rows": upload.rows_good, "claims": upload.fence, "seconds": seconds}
    print(json.dumps(result | {"held": held}))


if __name__ == "__main__":
    main(*sys.argv[1:])
