"""The same installation on each broker: embedded Valkey, Redis, RabbitMQ. Real servers, real workers.

While a job is at work the broker is asked what it has handed out and not been told to forget: nothing, since messages
are acknowledged before their tasks begin, and tasks end at once.
"""

import json
import os
import socket
import subprocess
import sys

import pytest
from django.conf import settings

pytestmark = [pytest.mark.broker, pytest.mark.slow]

BROKERS = {
    "embedded": (None, None, 8191),
    "redis": (6379, "redis://127.0.0.1:6379/9", 8192),
    "rabbitmq": (5672, "amqp://guest:guest@127.0.0.1:5672//", 8193),
}


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("name", BROKERS)
def test_an_upload_is_read_through_this_broker(name, tmp_path):
    needed, url, port = BROKERS[name]
    if needed and not answers(needed):
        pytest.skip(f"no {name} answers on port {needed}")
    environment = {k: v for k, v in os.environ.items() if k not in {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "DEBUG"}}
    environment |= {"CELERY_BROKER_URL": url} if url else {}

    said = subprocess.run(
        [sys.executable, "-m", "tests.integration.broker_probe", str(tmp_path), str(port)],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert said.returncode == 0, said.stderr[-3000:]
    result = json.loads(said.stdout.splitlines()[-1])
    assert (result["state"], result["rows"], result["claims"]) == ("succeeded", 60_000, 1)
    # A canary or a tick of the reconciler may be on its way in one look; nothing stays for as long as the work takes.
    known = [count for count in result["held"] if count is not None]
    assert result["held"], "it was over before the broker could be asked"
    assert known or name == "rabbitmq"
    assert not known or min(known) == 0
