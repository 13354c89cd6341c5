"""A part of the proofs: killed runs end bit for bit the same, spoilt checkpoints are never gone on from."""

import random
import signal

import pytest

from benchmarks import prove_checkpoints, prove_resume

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def proof(make_runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    return prove_resume.Proof(folder, random.Random(3), make_runs(folder))


@pytest.mark.parametrize(
    ("name", "step"), [("sft both", 12), ("dpo accumulated", 10), ("dpo fast", 7), ("sft looked at", 8)]
)
def test_a_run_killed_in_its_middle_ends_bit_for_bit_the_same(proof, name, step):
    case = next(case for case in prove_resume.CASES if case.name == name)
    spec, whole = proof.whole(case)
    assert proof.killed(case, 1, step, spec, whole)


def test_sigterm_within_a_step_saves_the_step_before_and_the_rest_is_the_same(proof):
    """With several batches a step the signal comes between two of them nearly always."""
    recipe = {"batch_size": 1, "accumulation": 6, "epochs": 1, "dropout": 0.1}
    spec = proof.runs.spec("stopped", proof.rows["sft"][:60], **recipe)
    whole = proof.runs.run(spec)
    again = proof.runs.elsewhere(spec, "stopped again")

    first = proof.runs.run(again, prove_resume.at_step(4, signal.SIGTERM))
    second = proof.runs.run(again)

    assert first.returncode == 143 and first.of("checkpoint")[-1]["step"] in {4, 5, 6}
    assert first.metrics | second.metrics == whole.metrics
    assert second.weights == whole.weights


def test_spoilt_checkpoints_are_never_gone_on_from(make_runs, tmp_path):
    found = prove_checkpoints.try_all(prove_checkpoints.make(tmp_path, make_runs(tmp_path)), 40)
    assert found == {"fell_back": 40}


def test_what_a_supervisor_may_have_died_with_is_said_again(proof):
    """Its lines may be lost; the steps before the checkpoint are in the next attempt's lines, with the same values."""
    spec = proof.runs.spec("said again", proof.rows["sft"][:60], batch_size=2, epochs=1, checkpoint_steps=10)

    first = proof.runs.run(spec, prove_resume.at_step(13, signal.SIGKILL))
    second = proof.runs.run(spec)

    assert set(second.metrics) == set(range(1, 31))
    assert {step: second.metrics[step] for step in range(1, 11)} == {step: first.metrics[step] for step in range(1, 11)}
    told = [event["step"] for event in second.of("metrics")]
    assert told[0] == 10 and second.of("started")[0]["resumed_from"] == 10
