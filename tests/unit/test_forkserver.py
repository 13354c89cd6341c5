"""The fork server: a fork is what a child from nothing is, in everything but the time it takes to start."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from datasets_app.engine.renderer import MEMORY
from projects import child, faults
from projects.bounds import UNBOUND, Limits
from tools import forking, forkserver

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow  # each server takes a second to warm
LOOK = """
import json, os, resource, sys
names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE")
leads = os.getsid(0) == os.getpgid(0) == os.getpid()
print(json.dumps({
    "argv": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ), "input": sys.stdin.read(),
    "leads": leads, "limits": [resource.getrlimit(getattr(resource, name)) for name in names], "path": sys.path[0],
    "name": __name__, "handles": sorted(os.listdir("/proc/self/fd")),
}))
print("to the log", file=sys.stderr)
sys.exit(3)
"""
RENDER = """
import json, psutil, signal, sys, time
from pathlib import Path
from datasets_app.engine import renderer
from projects.domain.errors import Refused

signal.signal(signal.SIGTERM, lambda *_: None)  # as an engine does that saves before it stops
render, said = renderer.Renderer(Path("{folder}")), []
for text in ("2", "1000000", "900000000000", "3"):
    try:
        said.append(render([{{"content": text}}]))
    except Refused as refused:
        said.append(refused.code)
print(json.dumps({{"said": said, "lost": render.lost, "about": [render.text, render.specials]}}), flush=True)
far = psutil.Process(render._process.pid)
print(json.dumps({{
    "renderer": far.pid, "kind": type(render._process).__name__, "input": [far.cwd(), far.num_fds(), far.num_threads()],
    "group": psutil.os.getpgid(far.pid) == psutil.os.getpgid(0), "core": far.rlimit(psutil.RLIMIT_CORE),
    "memory": far.rlimit(psutil.RLIMIT_AS)[0], "mapped": psutil.Process().memory_info().vms,
}}), flush=True)
far.terminate()
print(render._process.wait(), flush=True)
render._start()
print(render._process.pid, flush=True)
time.sleep(60)
"""
SLEEP = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Write a program that a fork server knows."""

    def write(text: str) -> list[str]:
        path = tmp_path / "program.py"
        path.write_text(text)
        monkeypatch.setitem(forkserver.PROGRAMS["rows"], str(path), ())  # an absolute path stays one below any folder
        return [sys.executable, str(path), "one", "two"]

    return write


@pytest.fixture
def start(tmp_path, fork_server):
    """Start a command by fork, or from nothing; at the end none is left."""
    started = []

    def run(command, *, limits=UNBOUND, environment=None, by=child.spawn):
        with (tmp_path / "engine.log").open("ab") as log:
            environment = child.child_environment() | (environment or {})
            started.append(by(command, environment=environment, limits=limits, log=log))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_a_fork_sees_what_a_child_from_nothing_sees(program, start, fork_server, tmp_path):
    command, limits = program(LOOK), Limits(memory_bytes=3 * 1024**3, cpu_seconds=20, file_bytes=4096)
    found = {}
    for name, by in (("forked", child.spawn), ("started", fork_server.usual)):
        process = start(command, limits=limits, environment={"HF_HUB_OFFLINE": "1"}, by=by)
        found[name] = json.loads(process.stdout.read())
        assert process.wait(10) == process.poll() == process.returncode == 3
        assert isinstance(process, subprocess.Popen) == (name == "started")

    assert found["forked"] == found["started"]
    assert found["forked"]["argv"] == ["one", "two"]
    assert found["forked"]["leads"]
    assert (tmp_path / "engine.log").read_text() == "to the log\n" * 2


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("raise RuntimeError('broke')", 1, "RuntimeError: broke"),
        ("import sys; sys.exit('no more')", 1, "no more"),
        ("import sys; sys.exit()", 0, ""),
        ("import os; os._exit(7)", 7, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV, ""),
        ("import atexit; atexit.register(print, 'last', file=__import__('sys').stderr)", 0, "last"),
    ],
)
def test_every_end_is_told_as_popen_tells_it(text, status, said, program, start, tmp_path):
    assert start(program(text)).wait(10) == status
    assert said in (tmp_path / "engine.log").read_text()


def test_a_fork_is_waited_for_signalled_and_gone_with_its_group(program, start):
    slow, other = start(program(SLEEP)), start(program(SLEEP))
    assert slow.stdout.readline() == other.stdout.readline() == b"up\n"
    assert slow.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        slow.wait(0.01)

    os.killpg(slow.pid, signal.SIGKILL)
    other.terminate()

    assert (slow.wait(10), other.wait(10)) == (-signal.SIGKILL, -signal.SIGTERM)


def test_a_renderer_of_a_fork_is_what_one_from_nothing_is(program, start, fork_server, tmp_path):
    (tmp_path / "chat_template.jinja").write_text("{{ 'ab' * (messages[0].content|int) }}")
    command, found, looks = program(RENDER.format(folder=tmp_path)), {}, {}
    for name, by in (("forked", child.spawn), ("started", fork_server.usual)):
        process = start(command, by=by, environment={"PYTHONPATH": str(ROOT)})  # else the folder of a script
        found[name], looks[name] = json.loads(process.stdout.readline()), json.loads(process.stdout.readline())
        assert int(process.stdout.readline()) == -signal.SIGTERM
        renderer = psutil.Process(int(process.stdout.readline()))
        process.kill()  # it alone, not its group: a renderer sees that nobody asks it any more
        psutil.wait_procs([renderer], timeout=10)
        assert not renderer.is_running() or renderer.status() == psutil.STATUS_ZOMBIE

    assert found["forked"] == found["started"]
    assert found["forked"]["said"] == ["abab", "template_limit", "template_limit", "ababab"]
    forked, started = looks["forked"], looks["started"]
    assert (forked.pop("kind"), started.pop("kind")) == ("Forked", "Popen")
    more = forked.pop("memory") - MEMORY
    assert 0 < more <= forked.pop("mapped") * 1.1 and started.pop("memory") == MEMORY < started.pop("mapped") * 50
    assert forked.pop("renderer") != started.pop("renderer")
    assert forked == started


def test_forks_end_with_their_server(program):
    usual = child.spawn
    with forking.forking(ROOT) as server, Path(os.devnull).open("ab") as log:
        fork = child.spawn(program(SLEEP), environment=child.child_environment(), limits=UNBOUND, log=log)
        with fork.stdout:
            assert fork.stdout.readline() == b"up\n"
            server.process.kill()
            assert fork.wait(10) == -signal.SIGKILL
            until = time.monotonic() + 10
            while psutil.pid_exists(fork.pid) and psutil.Process(fork.pid).status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < until
                time.sleep(0.01)
    assert child.spawn is usual


def test_only_engines_that_are_known_are_forked(fork_server):
    def knows(*words, **environment):
        return fork_server.knows([sys.executable, *words], environment)

    assert knows("-m", "datasets_app.engine", "spec.json")
    assert knows(str(ROOT / "tests/factories/evaluation_engine.py"), "better", "spec.json")
    assert not knows("-m", "training.engine", "spec.json")
    assert not knows("-c", "pass")
    assert not knows("child.py", "spec.json")
    assert not fork_server.knows(["false", "-m", "datasets_app.engine"], {})
    assert not knows("-m", "datasets_app.engine", "spec.json", **{faults.FAULT: "engine.said:kill"})


def test_engines_of_rows_work_without_pandas():
    ask = "import sys, pyarrow; print(pyarrow.array([1, 2]).to_pylist(), 'pandas' in sys.modules)"
    said = {}
    for name, first in (("usual", ""), ("lean", "from datasets_app.engine import lean; lean.without_pandas();")):
        done = subprocess.run([sys.executable, "-c", first + ask], cwd=ROOT, capture_output=True, text=True, check=True)
        said[name] = done.stdout.strip()

    assert said == {"usual": "[1, 2] True", "lean": "[1, 2] False"}
