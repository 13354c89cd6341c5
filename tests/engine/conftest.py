"""One tiny base model for all engine tests, built once and kept until what it is made from changes."""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from benchmarks.engine_runs import Runs
from demo import tickets
from projects.bounds import UNBOUND
from tests.engine.rows import write_rows
from tools import forking
from training.domain.recipe import Recipe
from training.domain.spec import BaseRef, DataRef, RunSpec
from training.engine import fingerprint as describing
from training.engine.versions import packages

REPO = Path(__file__).resolve().parents[2]


def child_env() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="session")
def tiny_base(pytestconfig: pytest.Config) -> Path:
    """A directory with the tiny base model. Tests must not write into it."""
    return _built(pytestconfig, "training.engine.tiny", "training/engine/tiny.py")


@pytest.fixture(scope="session")
def random_base(pytestconfig: pytest.Config) -> Path:
    """A directory with a base whose steps take milliseconds and that has learned nothing."""
    return _built(pytestconfig, "benchmarks.engine_runs", "training/engine/tiny.py", "benchmarks/engine_runs.py")


def _built(pytestconfig: pytest.Config, program: str, *sources: str) -> Path:
    """What a program builds into the folder it is given, kept until what it is made from changes."""
    parts = [(REPO / name).read_bytes() for name in (*sources, "demo/tickets.py")]
    parts += [metadata.version(name).encode() for name in ("torch", "transformers", "tokenizers")]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    folder = pytestconfig.cache.mkdir(program.replace(".", "-"))
    with (folder / "lock").open("w") as lock:  # other test processes wait for the one that builds
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / key).is_dir():
            command = [sys.executable, "-W", "ignore", "-m", program, str(folder / key)]
            subprocess.run(command, cwd=REPO, env=child_env(), check=True, capture_output=True)
    return folder / key


@pytest.fixture(scope="session")
def tiny_adapter(
    tiny_base: Path, tiny_facts: dict, torch_server: forking.Server, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The directory of an adapter that has learned to route tickets. Tests must not write into it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers: the first one trains, the others wait for it
    with (folder / "tiny-adapter.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        trained = folder / "tiny-adapter"
        if not trained.is_dir():
            engine = Engine(folder / "tiny-adapter-run", tiny_base, tiny_facts, torch_server)
            spec = engine.spec(tickets.routing_sets()[0], epochs=2, rank=32, alpha=64)
            told = engine.run(spec)
            assert told.returncode == 0, told.events[-1]
            Path(spec.output_dir).rename(trained)
    return trained


@pytest.fixture(scope="session")
def tiny_facts(tiny_base: Path) -> dict:
    return describing.describe(tiny_base)


class Engine:
    """Runs the engine as the supervisor does: a child process, a spec, events on stdout."""

    def __init__(self, folder: Path, base: Path, facts: dict, server: forking.Server | None = None) -> None:
        self.folder, self.base, self.facts, self.server = folder, base, facts, server

    def spec(self, rows: list[dict], name: str = "run", **recipe) -> RunSpec:
        home = self.folder / name
        home.mkdir(parents=True)
        data = write_rows(home / "rows.parquet", rows)
        kind = "preference" if "chosen" in rows[0] else "sft"
        return RunSpec(
            label=name,
            base=BaseRef("tiny-help-desk", self.facts["fingerprint"], self.facts["parts"], path=str(self.base)),
            data=DataRef("tickets v1", "0" * 64, len(rows), kind, path=str(data)),
            recipe=Recipe.read({"max_length": 128, "learning_rate": 3e-3} | recipe),
            packages=packages(),
            output_dir=str(home / "out"),
            checkpoint_dir=str(home / "ckpt"),
        )

    def elsewhere(self, spec: RunSpec, name: str) -> RunSpec:
        """The same run in another place: what is frozen stays equal."""
        home = self.folder / name
        home.mkdir()
        return replace(spec, output_dir=str(home / "out"), checkpoint_dir=str(home / "ckpt"))

    def run(self, spec: RunSpec, **env: str) -> "Told":
        return self._follow(spec, env, lambda event: None)

    def run_until(self, spec: RunSpec, step: int, kill: signal.Signals) -> "Told":
        """Send a signal as soon as a step has been told."""
        return self._follow(
            spec, {}, lambda event: kill if event["event"] == "metrics" and event["step"] == step else None
        )

    def follow(self, spec: RunSpec, react: Callable[[dict, int], None]) -> "Told":
        """Let a test do something to the running process, by its id, for whatever it says."""
        return self._follow(spec, {}, lambda event: react(event, self.pid))

    def _follow(self, spec: RunSpec, env: dict[str, str], answer: Callable[[dict], signal.Signals | None]) -> "Told":
        path = Path(spec.output_dir).parent / "spec.json"
        spec.write(path)
        command = [sys.executable, "-m", "training.engine", str(path)]
        events = []
        with (path.parent / "engine.log").open("ab") as log, self._start(command, env, log) as process:
            self.pid = process.pid
            for line in process.stdout:
                events.append(json.loads(line))
                if number := answer(events[-1]):
                    process.send_signal(number)
        return Told(process.returncode, events)

    def _start(self, command: list[str], env: dict[str, str], log: BinaryIO):
        """From nothing where no server is at hand, or libraries might have read the environment when they loaded."""
        if self.server is None or env:
            return subprocess.Popen(command, cwd=REPO, env=child_env() | env, stdout=subprocess.PIPE, stderr=log)
        return self.server.fork(command, environment=child_env(), limits=UNBOUND, log=log)


class Told:
    """What a child said before it ended."""

    def __init__(self, returncode: int, events: list[dict]) -> None:
        self.returncode, self.events = returncode, events

    def __repr__(self) -> str:
        return f"<exit {self.returncode}, last said {self.events[-1:]}>"

    def of(self, name: str) -> list[dict]:
        return [event for event in self.events if event["event"] == name]

    def one(self, name: str) -> dict:
        (event,) = self.of(name)
        return event

    @property
    def losses(self) -> dict[int, float]:
        return {
            step: loss
            for event in self.of("metrics")
            for step, loss in zip(event["steps"], event["each"]["loss"], strict=True)
        }

    @property
    def weights(self) -> str:
        return self.one("result")["adapter"]["files"]["adapter_model.safetensors"]["sha256"]


@pytest.fixture(scope="session")
def torch_server() -> Iterator[forking.Server]:
    """A process with torch and its friends, seven seconds of imports, of which engines are forked."""
    server = forking.Server(child_env(), REPO, usual=subprocess.Popen, kind="torch")
    yield server
    server.close()


def fork(
    server: forking.Server, command: list[str], log: BinaryIO, environment: dict[str, str] | None = None
) -> forking.Forked:
    return server.fork([sys.executable, *command], environment=environment or child_env(), limits=UNBOUND, log=log)


def run_fork(server: forking.Server, command: list[str], folder: Path) -> "Told":
    """A command that the server knows, to its end."""
    with (folder / "fork.log").open("ab") as log, fork(server, command, log) as process:
        events = [json.loads(line) for line in process.stdout]
    return Told(process.returncode or 0, events)


@pytest.fixture(scope="session")
def make_runs(random_base: Path, torch_server: forking.Server) -> Callable[[Path], Runs]:
    """Runs of the random base in a folder, forked off."""

    def start(command: list[str], log: Any, environment: dict[str, str]) -> forking.Forked:
        return fork(torch_server, command[1:], log, environment)

    return lambda folder: Runs(folder, random_base, start)


@pytest.fixture
def engine(tmp_path: Path, tiny_base: Path, tiny_facts: dict, torch_server: forking.Server) -> Engine:
    return Engine(tmp_path, tiny_base, tiny_facts, torch_server)


@pytest.fixture(scope="session")
def routing() -> tuple[list[dict], list[dict]]:
    return tickets.routing_sets()
