"""Webhooks and e-mail by a whole installation: real workers, a real broker that dies, a courier that is killed."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_an_installation_tells_whatever_is_killed(tmp_path):
    private = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "DEBUG", "CELERY_BROKER_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in private}

    said = subprocess.run(
        [sys.executable, "-m", "tests.integration.webhook_probe", str(tmp_path), "8195"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    assert said.returncode == 0, said.stderr[-3000:]
    result = json.loads(said.stdout.splitlines()[-1])
    for step in ("failed", "mail", "by_message", "killed", "again", "without_broker", "signed"):
        assert result[step] is True, result
    assert (result["lost_tries"], result["states"], result["broken"]) == (1, ["delivered"], [])
    assert result["brokers_killed"] >= 1
    (letter,) = result["letters"]
    assert letter[0] == "owner@luthier.example"
    assert letter[1].startswith("[Probe] Failed: upload of rows.jsonl.")
    assert letter[2] == "List-Unsubscribe=One-Click"
