"""The client of docs/uploads.md, run as somebody would run it, against a real server and with its own token."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasets_app.models import Incoming, Upload
from projects.domain.permissions import Role
from projects.services import tokens
from tests.factories.datasets import jsonl, make_dataset, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "uploads.md").read_text()


def test_the_documented_client_sends_a_file_and_goes_on_where_it_was(live_server, settings, tmp_path):
    settings.UPLOAD_PART_BYTES = 1000
    project = make_project()
    owner = make_member(project, Role.OWNER)
    dataset = make_dataset(project, owner)
    _, key = tokens.create_token(project, by=owner, name="upload", scope="write")
    (tmp_path / "upload.py").write_text(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1])
    (tmp_path / "rows.jsonl").write_bytes(jsonl(tickets(30)))
    told = {"LUTHIER": live_server.url, "PROJECT": project.slug, "DATASET": str(dataset.pk), "LUTHIER_TOKEN": key}
    command = [sys.executable, "upload.py", "rows.jsonl"]

    client = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 60
    while not Upload.objects.exists() and time.monotonic() < deadline and client.poll() is None:
        time.sleep(0.1)
    run_jobs()
    said = client.communicate(timeout=60)[0]

    assert "succeeded 30 good, 0 bad" in said
    assert Incoming.objects.get().parts.count() == Incoming.objects.get().parts_expected > 3
