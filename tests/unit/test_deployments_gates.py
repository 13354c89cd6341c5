"""Each gate passes, fails, cannot tell, or breaks, and only a pass lets through."""

import copy

import pytest

from deployments.domain import gates
from deployments.domain.gates import Status

FACTS = {
    "schema": 1,
    "slot": {"id": 1, "name": "production", "target": "production"},
    "live": {"adapter": "router 1", "digest": "dd"},
    "adapter": {
        "id": 7,
        "name": "router 2",
        "digest": "ee",
        "rank": 16,
        "findings": [],
        "files": {"adapter_model.safetensors": "aa", "adapter_config.json": "bb"},
        "found": {"adapter_model.safetensors": "aa", "adapter_config.json": "bb"},
    },
    "base": {"id": 1, "name": "tiny", "fingerprint": "f" * 64},
    "run": {
        "id": 5,
        "state": "succeeded",
        "dataset_hash": "cc",
        "base_fingerprint": "f" * 64,
        "recipe_sha256": "12",
        "packages_sha256": "34",
        "seed": 0,
        "ledger_lines": 1,
    },
    "training_data": {"id": 2, "name": "tickets", "number": 3, "content_hash": "cc"},
    "evaluation": {
        "id": 9,
        "adapter_id": 7,
        "state": "succeeded",
        "n": 200,
        "primary": "exact_match",
        "base_fingerprint": "f" * 64,
        "graders": {
            "exact_match": {"base": 0.4, "adapter": 0.9, "difference": 0.5, "low": 0.42, "high": 0.57},
        },
        "retention_change_percent": 1.5,
        "golden": {"id": 4, "name": "golden", "number": 1, "content_hash": "gg"},
    },
    "contamination": {"exact": 0, "normalised": 0},
    "stale": [],
    "measurements": ["gg exact_match 0.5 [0.42, 0.57]"],
}


def judged(path="", value=None):
    facts = copy.deepcopy(FACTS)
    if path:
        inner = facts
        *way, last = path.split("/")
        for key in way:
            inner = inner[key]
        inner[last] = value
    return {gate.code: gate for gate in gates.judge(facts)}


def test_good_evidence_passes_every_gate():
    assert {gate.status for gate in judged().values()} == {Status.PASS}
    assert gates.blocked_by(gates.judge(FACTS)) == []


CASES = [
    ("evaluation", "evaluation", None, Status.FAIL),
    ("evaluation", "evaluation/state", "running", Status.FAIL),
    ("evaluation", "evaluation/adapter_id", 8, Status.FAIL),
    ("evaluation", "evaluation/n", 0, Status.FAIL),
    ("better_than_base", "evaluation/graders/exact_match/low", 0.001, Status.PASS),
    ("better_than_base", "evaluation/graders/exact_match/low", 0.0, Status.INCONCLUSIVE),
    ("better_than_base", "evaluation/graders/exact_match/low", -0.1, Status.INCONCLUSIVE),
    ("better_than_base", "evaluation", None, Status.INCONCLUSIVE),
    ("better_than_base", "evaluation/primary", "rouge_l", Status.INCONCLUSIVE),
    ("better_than_base", "evaluation/graders/exact_match/low", None, Status.ERROR),
    ("retention", "evaluation/retention_change_percent", 5.0, Status.PASS),
    ("retention", "evaluation/retention_change_percent", -3, Status.PASS),
    ("retention", "evaluation/retention_change_percent", 5.01, Status.FAIL),
    ("retention", "evaluation/retention_change_percent", None, Status.INCONCLUSIVE),
    ("retention", "evaluation/retention_change_percent", "much", Status.ERROR),
    ("retention", "evaluation/retention_change_percent", float("nan"), Status.FAIL),
    ("integrity", "adapter/found/adapter_model.safetensors", "ab", Status.FAIL),
    ("integrity", "adapter/found/adapter_model.safetensors", "missing", Status.FAIL),
    ("integrity", "adapter/found/stray.txt", "ab", Status.FAIL),
    ("integrity", "adapter/files", {}, Status.FAIL),
    ("integrity", "adapter", {}, Status.ERROR),
    ("base_fingerprint", "base/fingerprint", "0" * 64, Status.FAIL),
    ("base_fingerprint", "run/base_fingerprint", "0" * 64, Status.FAIL),
    ("base_fingerprint", "evaluation/base_fingerprint", "0" * 64, Status.FAIL),
    ("base_fingerprint", "run/base_fingerprint", None, Status.INCONCLUSIVE),
    ("base_fingerprint", "evaluation", None, Status.INCONCLUSIVE),
    ("standing", "stale", ["base-7b is withdrawn: licence was revoked."], Status.FAIL),
    ("contamination", "contamination/exact", 1, Status.FAIL),
    ("contamination", "contamination/normalised", 1, Status.FAIL),
    ("contamination", "contamination", None, Status.INCONCLUSIVE),
    ("lineage", "run/recipe_sha256", "", Status.FAIL),
    ("lineage", "run/seed", None, Status.FAIL),
    ("lineage", "run/ledger_lines", 0, Status.FAIL),
    ("lineage", "run/dataset_hash", "other", Status.FAIL),
]


@pytest.mark.parametrize(("code", "path", "value", "status"), CASES)
def test_gate(code, path, value, status):
    gate = judged(path, value)[code]
    assert gate.status is status
    assert gate.blocks is (status is not Status.PASS)
    assert gate.explanation.endswith(".")


def test_worse_than_base_is_a_fail_not_a_doubt():
    score = {"base": 0.5, "adapter": 0.3, "difference": -0.2, "low": -0.3, "high": -0.1}
    gate = judged("evaluation/graders/exact_match", score)["better_than_base"]
    assert (gate.status, gate.value) == (Status.FAIL, "-20.0 [-30.0, -10.0]".replace("-", gates.MINUS))


@pytest.mark.parametrize("name", ["adapter_model.bin", "training_args.pt", "x.pkl"])
def test_a_pickle_fails_even_with_the_right_hash(name):
    facts = copy.deepcopy(FACTS)
    facts["adapter"]["files"][name] = facts["adapter"]["found"][name] = "aa"
    integrity = next(gate for gate in gates.judge(facts) if gate.code == "integrity")
    assert integrity.status is Status.FAIL
    assert "safetensors" in integrity.explanation


def test_wording_is_no_evidence():
    assert set(judged()["integrity"].as_evidence()) == {"status", "value", "threshold", "blocking", "version"}
