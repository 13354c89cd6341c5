"""Every way to fail has a cause of loss, so that no lost money is without one."""

import ast
from pathlib import Path

import pytest

from datasets_app.domain.codes import FILE_CODES, MACHINE_CODES
from projects import child, leases
from projects.domain import losses
from projects.domain.losses import Loss
from projects.domain.states import WITHOUT_RESULT, Outcome
from training.domain.failures import FAILURES

ROOT = Path(__file__).resolve().parents[2]
# Where the bodies of jobs refuse, and the engines fail: what they say becomes the code of a ledger line.
BODIES = [
    *sorted((ROOT / "datasets_app" / "engine").rglob("*.py")),
    *sorted((ROOT / "datasets_app" / "ingest").rglob("*.py")),
    *sorted((ROOT / "training" / "engine").rglob("*.py")),
    *sorted((ROOT / "evaluation" / "engine").rglob("*.py")),
    *sorted((ROOT / "deployments" / "engine").rglob("*.py")),
    ROOT / "training" / "supervisor.py",
    ROOT / "evaluation" / "scoring.py",
    ROOT / "deployments" / "rollout.py",
    ROOT / "training" / "domain" / "adapters.py",
    ROOT / "projects" / "artefacts.py",
    ROOT / "projects" / "child.py",
    ROOT / "projects" / "leases.py",
    ROOT / "projects" / "supervision.py",
]
# Refusals that no attempt ends with: nothing has been started, so nothing is lost.
BEFORE_A_START = {"already_over"}


def codes_in(path: Path) -> set[str]:
    """Texts given as `code=` anywhere in a file, and the first words of `Broken(code, …)`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node).startswith("emit('warning'"):
            continue  # the work goes on
        given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        given += node.args[:1] if getattr(node.func, "id", "") == "Broken" else []
        found |= {value.value for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str)}
    return found - {""}


@pytest.mark.parametrize("code", sorted(FAILURES))
def test_every_failure_that_is_explained_has_a_cause_of_loss(code):
    assert code in losses.BY_CODE, f"put {code} into projects/domain/losses.py"


@pytest.mark.parametrize("path", BODIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_code_that_a_job_can_end_with_has_one(path):
    assert codes_in(path) - BEFORE_A_START - set(losses.BY_CODE) == set()


def test_the_ends_of_children_and_leases_have_one():
    signals = {code for code, _ in child.SIGNALS.values()}
    ends = {child.Said(returncode=0).why()[0], child.Said(returncode=3).why()[0], leases.QUARANTINED}

    assert (signals | ends | {leases.WORKER_LOST[0]}) - set(losses.BY_CODE) == set()


def test_what_is_wrong_with_a_file_is_the_datas_and_what_the_machine_lacked_is_not():
    assert {losses.BY_CODE[code.value] for code in FILE_CODES} == {Loss.DATA, Loss.MEMORY}
    assert set(MACHINE_CODES) - set(losses.BY_CODE) == set()


@pytest.mark.parametrize(
    ("outcome", "code", "loss"),
    [
        ("succeeded", "", ""),
        ("paused", "", ""),  # its checkpoint is kept and it goes on: nothing is lost
        ("cancelled", "cancelled", "user"),
        ("cancelled", "oom", "user"),
        ("lost", "worker_lost", "infrastructure"),
        ("lost", "killed", "infrastructure"),
        ("interrupted", "host_stopped", "infrastructure"),
        ("failed", "oom", "memory"),
        ("failed", "nan_loss", "recipe"),
        ("failed", "template", "data"),
        ("failed", "crashed", "software"),
        ("failed", "a_code_nobody_has_written_down", "software"),
        ("something else", "", ""),
    ],
)
def test_the_cause_of_a_loss(outcome, code, loss):
    assert losses.loss_of(outcome, code) == loss


def test_every_outcome_without_a_result_has_a_cause_whatever_the_code():
    for outcome in Outcome:
        assert bool(losses.loss_of(outcome.value, "")) == (outcome in WITHOUT_RESULT)


def test_a_code_has_one_cause():
    told = [code for codes in losses._CODES.values() for code in codes.split()]

    assert sorted(told) == sorted(set(told))


def test_every_cause_has_words():
    assert set(losses.WORDS) == set(Loss)
    assert losses.words("memory") == "Memory"
    assert losses.words("from_an_older_version") == "From an older version"
