"""Run by test_brokers in a process of its own: a whole installation on one broker does one upload.

python broker_probe.py FOLDER PORT: the broker is the one that CELERY_BROKER_URL names, else the embedded one.
"""

import json
import sys
import time
from pathlib import Path

from benchmarks import installation

ROWS = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(20)]


def main(folder: str, port: str) -> None:
    installation.prepare(Path(folder))
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
        assert installation.wait(upload, 60), "the upload was not read within a minute"
        seconds = time.monotonic() - began
    print(json.dumps({"state": upload.state, "rows": upload.rows_good, "claims": upload.fence, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
