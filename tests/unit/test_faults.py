"""Fault points: off by default, refused outside a test, and borne by exactly the process that was to bear them."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import OperationalError

from projects import faults

ROOT = Path(__file__).resolve().parents[2]
NAME, OTHER = "leases.after_claim", "leases.held"


def armed(text: str) -> dict:
    return faults.read({faults.FAULT: text, faults.ALLOWED: "1"})


@pytest.fixture
def plan(monkeypatch):
    def arm(text: str) -> None:
        monkeypatch.setattr(faults, "_armed", armed(text))

    return arm


def test_without_the_variable_nothing_is_armed():
    assert faults.read({}) == {} == faults.read({faults.ALLOWED: "1"})


@pytest.mark.parametrize("allowed", [{}, {faults.ALLOWED: "0"}, {faults.ALLOWED: ""}])
def test_outside_a_test_installation_it_is_refused(allowed):
    with pytest.raises(faults.BadFault, match="no test installation"):
        faults.read({faults.FAULT: f"{NAME}:kill"} | allowed)


def test_a_process_refuses_to_start_with_a_fault_that_nobody_allowed():
    environment = {k: v for k, v in os.environ.items() if k != faults.ALLOWED} | {faults.FAULT: f"{NAME}:kill"}

    said = subprocess.run(
        [sys.executable, "-c", "import projects.faults"], cwd=ROOT, env=environment, capture_output=True, check=False
    )

    assert said.returncode == 1
    assert b"BadFault" in said.stderr


@pytest.mark.parametrize(
    "text", ["nowhere:kill", NAME, f"{NAME}:explode", f"{NAME}:kill:1:0.5:7", f"{NAME}:kill,nowhere:kill"]
)
def test_what_cannot_be_armed_is_refused(text):
    with pytest.raises(faults.BadFault):
        armed(text)


def test_a_planned_fault_strikes_the_nth_time_and_once(plan):
    plan(f"{NAME}:enospc:3, {OTHER}:raise")
    struck = []
    for passing in range(1, 6):
        try:
            faults.point(NAME)
        except OSError as error:
            struck.append((passing, error.errno))

    assert struck == [(3, errno.ENOSPC)]


def test_a_likely_fault_may_strike_again_and_again(plan, monkeypatch):
    rolls = iter([0.9, 0.1, 0.9, 0.1])
    monkeypatch.setattr(faults.random, "random", lambda: next(rolls))
    plan(f"{NAME}:raise:2:0.5")
    struck = []
    for passing in range(1, 6):
        try:
            faults.point(NAME)
        except OperationalError:
            struck.append(passing)

    assert struck == [3, 5]


def test_points_that_are_not_armed_are_passed(plan):
    plan(f"{OTHER}:kill")

    faults.point(NAME)


def test_a_process_without_a_database_meets_a_bad_disk(monkeypatch):
    monkeypatch.delitem(sys.modules, "django.db")
    with pytest.raises(OSError, match="fault of this test") as caught:
        faults.bear("raise")

    assert caught.value.errno == errno.EIO


def test_a_sleep_lasts_as_long_as_it_says():
    began = time.monotonic()
    faults.bear("sleep=0.05")

    assert time.monotonic() - began >= 0.05


def test_a_laid_fault_is_taken_by_one_passer_only(plan, tmp_path):
    plan(str(tmp_path))
    (tmp_path / NAME).write_text("enospc\n")

    with pytest.raises(OSError, match="No space"):
        faults.point(NAME)
    faults.point(NAME)

    taken = [path.name.split("~")[:2] for path in (tmp_path / faults.TAKEN).iterdir()]
    assert taken == [[NAME, str(os.getpid())]]


@pytest.mark.parametrize(("action", "number"), [("kill", signal.SIGKILL), ("term", signal.SIGTERM)])
def test_a_process_dies_at_its_point(action, number, tmp_path):
    (tmp_path / NAME).write_text(action)
    program = f"from projects import faults\nfaults.point({NAME!r})\nprint('alive')"
    environment = os.environ | {faults.FAULT: str(tmp_path), faults.ALLOWED: "1"}

    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, check=False, text=True
    )

    assert said.returncode == -number
    assert "alive" not in said.stdout
    assert f"fault: {NAME}: {action}" in said.stderr


def test_a_stopped_process_goes_on_when_it_is_told_to(tmp_path):
    program = f"from projects import faults\nfaults.point({NAME!r})\nprint('alive')"
    environment = os.environ | {faults.FAULT: f"{NAME}:stop", faults.ALLOWED: "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)

    process.send_signal(signal.SIGCONT)

    assert process.communicate(timeout=10)[0] == b"alive\n"
