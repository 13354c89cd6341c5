"""The report of `make test`: what it reads from pytest, and what it says at the end."""

import re
import time

import pytest

from tools import test as report

CLOSING = re.compile(r"^\d+ passed, \d+ failed, \d+ skipped$")
SAID = """
import sys
print("====== slowest 10 durations ======")
print("12.50s call     tests/unit/test_a.py::test_slow")
print("0.75s setup    tests/unit/test_b.py::test_waits[a b]")
print("3 failed, 40 passed, 2 skipped, 1 error in 13.2s")
sys.exit(1)
"""


@pytest.fixture
def lane(monkeypatch):
    def run(body):
        monkeypatch.setitem(report.LANES, "made_up", body)
        return report.run("made_up")

    return run


def python(words):
    return [str(report.BIN / "python"), "-c", words]


def test_counts_times_and_the_slowest_are_read_from_what_pytest_prints(lane, capsys):
    done = lane(lambda lane: report.call(lane, python(SAID)))
    assert report.report([done]) == 1

    assert (done.passed, done.failed, done.skipped, done.ok) == (40, 4, 2, False)
    assert done.seconds > 0
    assert 0 < done.cpu_seconds < 10
    lines = capsys.readouterr().out.splitlines()
    place = lines.index("slowest tests")
    assert lines[place + 1].split() == ["12.5", "s", "made_up", "tests/unit/test_a.py::test_slow", "(call)"]
    assert lines[place + 2].endswith("tests/unit/test_b.py::test_waits[a b] (setup)")
    assert lines[-1] == "40 passed, 4 failed, 2 skipped"


def test_the_closing_line_has_one_form(lane, capsys):
    assert report.report([lane(lambda lane: None)]) == 0
    assert CLOSING.match(capsys.readouterr().out.splitlines()[-1])
    broken = lane(lambda lane: report.call(lane, python("raise SystemExit(2)")))
    assert report.report([broken]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"


def test_the_lane_that_waits_runs_beside_the_others_and_speaks_after_them(monkeypatch, capsys):
    def waits(lane):
        report.call(lane, python("import time; time.sleep(0.3); print('1 passed in 0.3s')"))

    def works(lane):
        report.call(lane, python("print('2 passed in 0.1s')"))

    monkeypatch.setattr(report, "LANES", {"broker": waits, "first": works, "last": works})
    done = report.run_all(["first", "broker", "last"])

    assert [(lane.name, lane.passed, lane.ok) for lane in done] == [
        ("first", 2, True),
        ("broker", 1, True),
        ("last", 2, True),
    ]
    assert re.findall(r"== (\w+)", capsys.readouterr().out) == ["first", "last", "broker"]
    assert done[1].seconds >= 0.3 > done[1].cpu_seconds


def test_where_no_lane_needs_two_cores_the_first_one_speaks_at_once_and_the_rest_runs_beside_it(monkeypatch, capsys):
    def waits(lane):
        report.call(lane, python("import time; time.sleep(0.4)"))

    monkeypatch.setattr(report, "LANES", dict.fromkeys(("lint", "types"), waits))
    started = time.monotonic()
    done = report.run_all(["lint", "types"])

    assert [(lane.name, lane.ok, lane.kept is None) for lane in done] == [("lint", True, True), ("types", True, False)]
    assert re.findall(r"== (\w+)", capsys.readouterr().out) == ["lint", "types"]
    assert max(lane.seconds for lane in done) <= time.monotonic() - started < sum(lane.seconds for lane in done)


def test_what_runs_beside_others_is_no_lane_that_is_unknown():
    assert set(report.BESIDE) < set(report.LANES)


def test_every_lane_but_the_fast_one_is_part_of_make_test():
    assert set(report.ALL) == set(report.LANES) - {"fast"}
    assert {name for names in report.SETS.values() for name in names} <= set(report.LANES)
