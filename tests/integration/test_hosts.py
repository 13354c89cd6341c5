"""Several hosts, each a worker process with a name of its own: they share the work, and a drained one takes none."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_two_hosts_share_the_work_and_a_stalled_worker_starts_afresh(tmp_path):
    private = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "DEBUG", "CELERY_BROKER_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in private}

    said = subprocess.run(
        [sys.executable, "-m", "tests.integration.hosts_probe", str(tmp_path), "8194"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=480,
        check=False,
    )

    assert said.returncode == 0, said.stderr[-3000:]
    result = json.loads(said.stdout.splitlines()[-1])
    for phase, count in (("shared", 6), ("resumed", 4)):
        assert sum(result[phase].values()) == count
        assert set(result[phase]) == {"anvil", "forge"}, result
    assert result["drained"] == {"forge": 3}
    assert (result["ended"], result["back"], result["hears"]) == (True, True, True)
