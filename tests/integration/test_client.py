"""The command `luthier`, run as a script or a CI job would run it, against a live server."""

import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from datasets_app.models import Incoming, Upload
from projects import reconciler
from projects.domain.permissions import Role
from projects.services import tokens
from tests.factories import training as factory
from tests.factories.datasets import jsonl, tickets
from tests.factories.projects import make_member, make_project, run_jobs
from training.models import Run

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("quick_children"),
    pytest.mark.files,
]
CLIENT = Path(__file__).resolve().parents[2] / "client"
SPEC = "version: 1\nlabel: by script\nrecipe: {epochs: 1, max_length: 64, rank: 2, alpha: 4}\n"


class Shell:
    """A folder, a token and the command; while it waits the background work is driven here."""

    def __init__(self, folder, server, settings) -> None:
        settings.ENGINES = dict(settings.ENGINES) | {"training.run": factory.fake_engine()}
        self.folder, self.server = folder, server
        self.project = make_project()
        self.by = make_member(self.project, Role.ENGINEER)
        self.key = self.token(self.by)

    def token(self, user, scope="write") -> str:
        return tokens.create_token(self.project, by=user, name="ci", scope=scope)[1]

    def __call__(self, *words, key=None, stdin="", drive=True, **environment):
        told = {"LUTHIER": self.server.url, "LUTHIER_TOKEN": self.key if key is None else key}
        told = {name: value for name, value in (told | environment).items() if value}
        usual = {name: value for name, value in os.environ.items() if not name.startswith("LUTHIER")}
        paths = {
            "PYTHONPATH": str(CLIENT),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "COLUMNS": "200",
            "LUTHIER_POLL_SECONDS": "0.1",
        }
        child = subprocess.Popen(
            [sys.executable, "-m", "luthier", *map(str, words)], cwd=self.folder, env=usual | paths | told, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        child.stdin.write(stdin)
        child.stdin.close()
        deadline = time.monotonic() + 60
        while child.poll() is None:
            if drive:
                run_jobs()
                reconciler.sweep()
            assert time.monotonic() < deadline, "it waits for ever"
            time.sleep(0.05)
        out, err = child.stdout.read(), child.stderr.read()
        child.stdout.close()
        child.stderr.close()
        return child.returncode, out, err

    def write(self, name: str, content) -> str:
        (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name


@pytest.fixture
def luthier(live_server, settings, tmp_path):
    return Shell(tmp_path, live_server, settings)


def test_from_rows_and_a_spec_to_an_adapter_in_the_folder(luthier):
    base = factory.make_base(luthier.project, luthier.by)
    rows = luthier.write("rows.jsonl", jsonl(tickets(30)))
    spec = luthier.write("spec.yaml", SPEC)

    code, out, err = luthier("upload", rows, "--dataset", "tickets", "--create", "--json")
    assert (code, json.loads(out)["rows_good"], err) == (0, 30, "")

    code, out, err = luthier("launch", spec, "--base", base.name, "--data", "tickets")
    assert code == 0, err
    run = Run.objects.get()
    assert f"by script (run {run.pk}): succeeded, adapter {run.adapter.pk}" in out
    assert "Rows a step: 8 rows at once" in err

    code, out, _ = luthier("runs", "--json")
    assert (code, [one["id"] for one in json.loads(out)]) == (0, [run.pk])
    assert "by script" in luthier("runs", "--state", "succeeded")[1]

    code, out, _ = luthier("download", run.pk, "-o", "adapter.zip")
    assert code == 0 and "every file as it was stored" in out
    assert {Path(name).name for name in zipfile.ZipFile(luthier.folder / "adapter.zip").namelist()} >= set(
        run.adapter.manifest["files"]
    )
    assert luthier("download", "--adapter", run.adapter.pk, "-o", "there", "--unpack")[0] == 0
    assert {path.name for path in (luthier.folder / "there").iterdir()} == set(run.adapter.manifest["files"])
    assert luthier("download", run.pk, "-o", "adapter.zip")[0] == 2, "nothing is written over"

    code, out, _ = luthier("export", run.pk, "--as", "trl", "-o", ".")
    assert code == 0 and "trl sft --config by-script.trl.yaml" in out
    code, _, err = luthier("launch", "by-script.trl.yaml", "--data", "tickets", "--dry-run")
    assert (code, Run.objects.count()) == (0, 1), err
    assert luthier("export", run.pk, "--as", "axolotl")[1].startswith("# by script: SFT")


def test_a_run_is_launched_with_validation_data_and_told_how_it_does(luthier):
    base = factory.make_base(luthier.project, luthier.by)
    for name, start in (("tickets", 0), ("held out", 100)):
        rows = luthier.write("rows.jsonl", jsonl(tickets(30, start=start)))
        assert luthier("upload", rows, "--dataset", name, "--create")[0] == 0
    spec = luthier.write("spec.yaml", SPEC)
    common = ("launch", spec, "--base", base.name, "--data", "tickets")

    code, out, err = luthier(*common, "--validation", "held out")
    assert code == 0, err
    run = Run.objects.get()
    assert run.validation_version.dataset.name == "held out"
    assert "succeeded, validation loss 1.6 (its best), adapter" in out

    code, _, err = luthier(*common, "--validation", "nothing of that name")
    assert code == 2 and "The validation data is not here" in err
    assert Run.objects.count() == 1


def test_an_upload_goes_on_where_it_was(luthier, settings):
    settings.UPLOAD_PART_BYTES = 1000
    content = jsonl(tickets(30))
    rows = luthier.write("rows.jsonl", content)
    luthier("upload", luthier.write("few.jsonl", jsonl(tickets(2))), "--dataset", "d", "--create", "--no-wait")
    from tests.factories.uploads import Sender

    class Signed:
        """A client that sends with the token."""

        def __init__(self):
            from django.test import Client

            self.client = Client(headers={"Authorization": f"Bearer {luthier.key}"})

        def __getattr__(self, name):
            return getattr(self.client, name)

    import hashlib

    from datasets_app.models import Dataset

    sender = Sender(Signed(), luthier.project)
    begun = sender.begin(Dataset.objects.get(), content, sha256=hashlib.sha256(content).hexdigest()).json()
    assert sender.part(begun["id"], 1, content[1000:2000]).status_code == 200

    code, _, err = luthier("upload", rows, "--dataset", "d")

    assert code == 0, err
    assert f"going on, 1 of {begun['parts_expected']} parts are there" in err
    assert str(Incoming.objects.get(upload__file_name="rows.jsonl").pk) == begun["id"]
    assert Upload.objects.get(file_name="rows.jsonl").version.rows == 30


def test_exit_codes_say_how_it_ended(luthier):
    base = factory.make_base(luthier.project, luthier.by)
    good = luthier.write("rows.jsonl", jsonl(tickets(10)))
    bad = luthier.write("bad.jsonl", b'{"nothing": "of use"}\n')
    spec = luthier.write("spec.yaml", SPEC)

    assert luthier("upload", good, "--dataset", "nowhere")[0] == 2
    assert luthier("upload", "no-such-file", "--dataset", "d", "--create")[0] == 2
    code, out, _ = luthier("upload", bad, "--dataset", "d")
    assert (code, "bad.jsonl" in out) == (1, True)
    assert luthier("upload", good, "--dataset", "d")[0] == 0

    code, _, err = luthier("launch", spec, "--data", "d")
    assert (code, "--base" in err) == (2, True)
    code, _, err = luthier("launch", spec, "--base", "elsewhere", "--data", "d")
    assert (code, "No base here is called so" in err) == (2, True)
    code, _, err = luthier("launch", luthier.write("x.yaml", "model_name_or_path: a\n"), "--tool", "trl")
    assert (code, "use_peft" in err) == (3, True)
    code, _, err = luthier("launch", luthier.write("y.yaml", "a: &x 1\n"))
    assert (code, err.startswith("luthier: alias: ")) == (3, True)
    code, _, err = luthier("watch", 999)
    assert (code, err.startswith("luthier: not_found")) == (3, True)
    assert luthier("runs", key="lut_wrong")[0] == 3
    code, _, err = luthier("upload", good, "--dataset", "d", key=luthier.token(luthier.by, "read"))
    assert (code, "may only read" in err) == (3, True)
    assert luthier("launch")[0] == 2

    from django.conf import settings

    settings.ENGINES["training.run"] = factory.fake_engine("crash")
    code, out, err = luthier("launch", spec, "--base", base.name, "--data", "d")
    assert (code, ": failed – " in out) == (1, True), (out, err)
    assert Run.objects.get().state == "failed"


def test_a_run_is_paused_resumed_cancelled_and_waited_for(luthier):
    base = factory.make_base(luthier.project, luthier.by)
    luthier("upload", luthier.write("rows.jsonl", jsonl(tickets(10))), "--dataset", "d", "--create")
    spec = luthier.write("spec.yaml", SPEC)
    options = ("launch", spec, "--base", base.name, "--data", "d")
    draft = json.loads(luthier(*options, "--draft", "--json")[1])
    assert draft["state"] == "draft"
    run_jobs()  # its data is counted

    code, out, _ = luthier(*options, "--no-wait", "--json", drive=False)
    run = json.loads(out)
    assert (code, run["state"]) == (0, "queued")
    assert json.loads(luthier("pause", run["id"], "--json", drive=False)[1])["state"] == "paused"
    assert json.loads(luthier("resume", run["id"], "--json", drive=False)[1])["state"] == "queued"
    code, _, err = luthier("watch", run["id"], "--timeout", "0.5", drive=False)
    assert (code, "goes on without this command" in err) == (5, True)
    assert (
        json.loads(luthier("cancel", run["id"], "--reason", "enough", "--json", drive=False)[1])["state"] == "cancelled"
    )
    assert luthier("watch", run["id"])[0] == 1
    code, _, err = luthier("cancel", run["id"])
    assert (code, "already_over" in err) == (3, True)
    assert luthier("retry", run["id"])[0] == 0
    assert luthier("watch", run["id"])[0] == 0


def test_a_token_is_kept_for_its_owner_alone(luthier):
    nothing = {"LUTHIER": "", "LUTHIER_TOKEN": ""}
    code, _, err = luthier("runs", **nothing)
    assert (code, "luthier login" in err) == (2, True)

    code, out, _ = luthier("login", luthier.server.url, "--token-stdin", stdin=f"{luthier.key}\n", **nothing)
    assert (code, f"engineer of {luthier.project.name}" in out) == (0, True)
    file = luthier.folder / "config" / "luthier" / "account.json"
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert luthier("runs", **nothing)[0] == 0

    assert luthier("logout", **nothing)[0] == 0
    assert not file.exists() and luthier("runs", **nothing)[0] == 2
    assert luthier("login", luthier.server.url, "--token-stdin", stdin="lut_wrong\n", **nothing)[0] == 3
    code, _, err = luthier("login", "http://luthier.example.org", "--token-stdin", stdin="x\n", **nothing)
    assert (code, "reads the token" in err) == (2, True)


class Elsewhere(BaseHTTPRequestHandler):
    """A server that is away at first, or sends on to another place."""

    asked: list = []

    def do_GET(self):
        type(self).asked.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/stolen")
        elif len(type(self).asked) < 3:
            self.send_response(503)
        else:
            self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def elsewhere():
    Elsewhere.asked = []
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_passes_by_itself_is_tried_again_and_a_redirect_gets_no_token(elsewhere, monkeypatch):
    monkeypatch.syspath_prepend(str(CLIENT))
    from luthier.errors import Stop, Unreachable
    from luthier.server import Server

    server = Server(elsewhere, "lut_x", "p", pauses=(0, 0, 0))
    assert server.ask("GET", "/later") == {}
    assert len(Elsewhere.asked) == 3

    with pytest.raises(Stop, match="sends elsewhere"):
        server.ask("GET", "/moved")
    assert [path for path, _ in Elsewhere.asked] == ["/later"] * 3 + ["/moved"]

    with pytest.raises(Unreachable):
        Server("http://127.0.0.1:9", "lut_x", "p", pauses=(0,)).ask("GET", "/")


def test_an_adapter_that_did_not_arrive_whole_is_not_kept(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(CLIENT))
    from luthier.errors import Stop
    from luthier.fetching import _check

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/weights", b"flipped")
    for files, says in (
        ({"weights": {"sha256": "0" * 64}}, "sha256 differs"),
        ({"config": {"sha256": ""}}, "not arrive"),
    ):
        with pytest.raises(Stop, match=says):
            _check(tmp_path / "a.zip", files, tmp_path / says)


@pytest.mark.slow
def test_it_installs_alone_and_as_one_file(tmp_path):
    import shutil

    shutil.copytree(CLIENT, tmp_path / "client", ignore=shutil.ignore_patterns("__pycache__"))
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-build-isolation", "--no-deps"]
    target = ["--target", str(tmp_path / "installed"), str(tmp_path / "client")]
    subprocess.run([*install, *target], check=True, capture_output=True)
    alone = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "installed")}
    said = subprocess.run(
        [tmp_path / "installed" / "bin" / "luthier", "--version"], env=alone, check=True, capture_output=True, text=True
    )
    assert said.stdout.startswith("luthier ")

    archive = [sys.executable, "-m", "zipapp", CLIENT, "-m", "luthier.cli:main", "-o", tmp_path / "luthier.pyz"]
    subprocess.run(archive, check=True)
    code = [sys.executable, "-I", "-S", tmp_path / "luthier.pyz", "launch", "--help"]
    assert "--dry-run" in subprocess.run(code, check=True, capture_output=True, text=True).stdout
