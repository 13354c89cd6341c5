"""A whole installation, known to scripts alone: the official OpenAI client and the command, with the real engine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from openai import OpenAI

from tests.factories.datasets import jsonl, tickets

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CLIENT = Path(__file__).resolve().parents[2] / "client"
PATIENCE = 300
SPEC = """
model_name_or_path: tiny-help-desk
use_peft: true
lora_r: 4
lora_alpha: 8
lora_target_modules: all-linear
num_train_epochs: 1
learning_rate: 1e-3
per_device_train_batch_size: 4
gradient_accumulation_steps: 2
max_length: 128
"""


def key_of_a_new_project(installation) -> tuple[str, str]:
    """What a person does once in a browser: an account, a project, a token."""
    password = installation.create_owner("scripts@example.org", "Scripts")
    with requests.Session() as person:
        person.headers["Referer"] = installation.address
        person.get(f"{installation.address}/sign-in/")
        form = {"username": "scripts@example.org", "password": password}
        person.post(f"{installation.address}/sign-in/", form | {"csrfmiddlewaretoken": person.cookies["csrftoken"]})
        person.headers["X-CSRFToken"] = person.cookies["csrftoken"]
        api = f"{installation.address}/api/v1/projects/"
        made = person.post(api, json={"name": "Scripts"})
        assert made.status_code == 201, made.text
        slug = made.json()["slug"]
        token = person.post(f"{api}{slug}/tokens/", json={"name": "script", "scope": "write"})
        assert token.status_code == 201, token.text
        return slug, token.json()["token"]


def until(look, what: str):
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.5)
    return found


def test_scripts_train_a_real_adapter(installation, tmp_path):
    slug, key = key_of_a_new_project(installation)
    told = {"LUTHIER": installation.address, "LUTHIER_TOKEN": key, "PYTHONPATH": str(CLIENT)}

    def luthier(*words) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "luthier", *words],
            check=False,
            cwd=tmp_path,
            env=os.environ | told,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with requests.Session() as http:
        http.headers["Authorization"] = f"Bearer {key}"
        bases = f"{installation.address}/api/v1/projects/{slug}/bases/"
        assert http.post(bases, json={"source": "local", "path": "tiny-help-desk"}).status_code == 202
        until(lambda: http.get(bases).json()["results"][0]["state"] == "succeeded", "the base")

    with OpenAI(base_url=f"{installation.address}/openai/v1", api_key=key) as client:
        file = client.files.create(file=("tickets.jsonl", jsonl(tickets(40))), purpose="fine-tune")
        hyper = {"n_epochs": 1, "batch_size": 8, "learning_rate_multiplier": 5}
        method = {"type": "supervised", "supervised": {"hyperparameters": hyper}}
        job = client.fine_tuning.jobs.create(
            model="tiny-help-desk", training_file=file.id, method=method, suffix="router", seed=3
        )
        assert job.status == "validating_files"

        def over():
            found = client.fine_tuning.jobs.retrieve(job.id)
            return found if found.status in ("succeeded", "failed", "cancelled") else None

        job = until(over, "the end of the job")
        assert (job.status, job.error) == ("succeeded", None)
        assert job.fine_tuned_model.startswith(f"ft:tiny-help-desk:{slug}:router:a")
        losses = [event for event in client.fine_tuning.jobs.list_events(job.id, limit=100) if event.type == "metrics"]
        assert len(losses) == 5, "forty rows, eight a step"
        assert client.files.content(job.result_files[0]).text.startswith("step,train_loss")

    (tmp_path / "spec.yaml").write_text(SPEC)
    run = json.loads(
        luthier("launch", "spec.yaml", "--data", "tickets.jsonl", "--name", "from trl", "--json", "--quiet")
    )
    assert (run["state"], run["recipe"]["rank"], run["recipe"]["accumulation"]) == ("succeeded", 4, 2)
    luthier("download", str(run["id"]), "--unpack", "-o", "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert "micro_batch_size: 4" in luthier("export", str(run["id"]), "--as", "axolotl")
