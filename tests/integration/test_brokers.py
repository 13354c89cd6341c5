"""The same installation on each broker: embedded Valkey, Redis, RabbitMQ. Real servers, real workers."""

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
    assert (result["state"], result["rows"], result["claims"]) == ("succeeded", 20, 1)
