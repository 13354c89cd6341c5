"""Every cause of failure can be brought about: here, or by the test that is named for it."""

import errno
import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from django.conf import settings

from datasets_app.engine.chat_template import Unshowable
from projects.domain.errors import Refused
from tests.engine.rows import write_rows
from training.domain.failures import FAILURES
from training.domain.recipe import Recipe
from training.domain.spec import BaseRef, DataRef, RunSpec
from training.engine import blame, data, hub, model
from training.engine.checkpoints import Checkpoints
from training.engine.data import Prepared, Preparer
from training.engine.naming import named
from training.engine.watch import StopFlag

ROWS = [{"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]}] * 3


class Chat:
    """Stands in for a tokenizer: every character is a token, and what is asked is not trained."""

    def __init__(self, refuse: bool = False) -> None:
        self.refuse = refuse

    def chat(self, messages, tools, options):
        if self.refuse:
            raise Unshowable("roles must alternate")
        text = "".join(turn["content"] for turn in messages)
        trained = [turn["role"] == "assistant" for turn in messages for _ in turn["content"]]
        return SimpleNamespace(ids=list(range(len(text))), trained=trained, last_turn_only=False)


def row(index=7, question="hello", answer="hi"):
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"index": index, "kind": "sft", "messages": turns, "tools": [], "options": {}}


def prepare(limit=100, cut="refuse", preference=False, refuse=False, **content):
    preparer = Preparer(Chat(refuse), limit, cut)
    preparer.add(row(**content), preference=preference)
    return preparer.finish()


def spec(folder: Path, **changes) -> RunSpec:
    path = write_rows(folder / "rows.parquet", ROWS)
    whole = {"base": BaseRef("b", "f" * 64, {}, path=str(folder / "base")), "recipe": Recipe.read({})}
    whole |= {"data": DataRef("v1", "0" * 64, len(ROWS), "sft", path=str(path))}
    return RunSpec(label="x", **whole | changes)


def changed_base(folder):
    (folder / "base").mkdir()
    (folder / "base" / "config.json").write_text("{}")
    model.check_base(spec(folder, base=BaseRef("b", "f" * 64, {"config": "0" * 64}, path=str(folder / "base"))))


def changed_data(folder):
    from training.engine import run  # torch with it

    frozen = spec(folder)
    run.prepare(
        RunSpec("x", frozen.base, DataRef("v1", "0" * 64, 4, "sft", path=frozen.data.path), frozen.recipe), StopFlag()
    )


def read_spec(folder, text):
    path = folder / "spec.json"
    path.write_text(text)
    RunSpec.load(path)


def bad_recipe(folder):
    raw = spec(folder).as_dict()
    raw["recipe"]["learning_rate"] = 7
    read_spec(folder, json.dumps(raw))


def missing_layer(folder):
    stub = SimpleNamespace(named_modules=lambda: [("layers.0.q_proj", None)])
    model._check_targets(stub, Recipe.read({"target_modules": ["fc1"]}))


def no_quantiser(folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    model._quantisation(None)


def no_card(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False)))
    model.choose_device("cuda")


def unknown_revision(folder, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import RevisionNotFoundError

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)

    def info(*_, **__):
        raise RevisionNotFoundError("no", response=SimpleNamespace(headers={}, request=None, status_code=404))

    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: SimpleNamespace(model_info=info))
    hub.fetch("acme/model", "nowhere", folder)


def raised(problem, **known):
    raise named(problem, **known)


def superseded(folder):
    old, new = Checkpoints(folder, "spec", fence=1), Checkpoints(folder, "spec", fence=2)
    new.take_over()
    source = old.staging / "checkpoint-1"
    source.mkdir()
    old.commit(source, 1)


# What brings each about; a second argument asks for monkeypatch.
CATALOGUE = {
    "oom": lambda folder: raised(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")),
    "template": lambda folder: prepare(refuse=True),
    "no_trained_tokens": lambda folder: prepare(answer="", cut="drop"),
    "answer_cut": lambda folder: prepare(limit=3),
    "wrong_kind": lambda folder: prepare(preference=True),
    "data_changed": changed_data,
    "data_missing": lambda folder: data.count_rows(folder / "gone.parquet"),
    "base_changed": changed_base,
    "base_missing": lambda folder: model.check_base(spec(folder)),
    "bad_spec": lambda folder: read_spec(folder, "{"),
    "bad_recipe": bad_recipe,
    "unknown_module": missing_layer,
    "no_quantiser": no_quantiser,
    "no_device": no_card,
    "device_error": lambda folder: raised(RuntimeError("CUDA error: an illegal memory access was encountered")),
    "disk_full": lambda folder: raised(OSError(errno.ENOSPC, "No space left on device")),
    "disk_error": lambda folder: raised(OSError(errno.EIO, "Input/output error")),
    "revision_not_found": unknown_revision,
    "no_checkpoint": lambda folder: Checkpoints(folder, "spec").begin(20),
    "superseded": superseded,
    "internal": lambda folder: raised(RuntimeError("shape mismatch")),
}
# Those that take a real process, a real library or a database to bring about.
ELSEWHERE = {
    "nan_loss": "engine/test_engine_failures.py::test_a_loss_that_is_no_number_names_its_step_and_rows",
    "parent_mismatch": "engine/test_engine_failures.py::test_an_adapter_that_does_not_fit_is_refused",
    "adapter_invalid": "integration/test_runs.py::test_a_failure_is_named_priced_and_leaves_no_adapter",
    "template_limit": "unit/test_attacks_templates.py",
    "template_forbidden": "unit/test_attacks_templates.py",
    "no_template": "unit/test_training_rendering.py",
    "artefact_damaged": "integration/test_kernel_supervision.py::test_a_refusal_while_preparing_starts_no_child",
    "incomplete_model": "unit/test_training_files.py::test_bases_that_need_trust_are_refused",
    "damaged_weights": "unit/test_attacks_models.py",
    "damaged_config": "unit/test_attacks_models.py",
    "unsafe_path": "unit/test_attacks_models.py",
    "custom_code": "unit/test_training_files.py::test_bases_that_need_trust_are_refused",
    "only_safetensors": "unit/test_training_files.py::test_bases_that_need_trust_are_refused",
    "hub_unreachable": "integration/test_bases.py",
    "hub_gated": "integration/test_base_hashing.py::test_a_model_behind_terms_says_whose_token_is_needed",
    "storage_failed": "integration/test_kernel_supervision.py::test_a_full_disk_while_preparing_is_told",
    "worker_lost": "integration/test_kernel_pausing.py::test_a_worker_lost_after_the_wish_leaves_it_resting",
    "host_stopped": "integration/test_kernel_pausing.py::test_a_job_whose_host_is_stopped_goes_back_to_its_queue",
    "stalled": "integration/test_kernel_pausing.py::test_a_child_that_hangs_is_killed_and_its_work_goes_on_elsewhere",
    "killed": "integration/test_kernel_supervision.py",
    "infra_quarantined": "integration/test_runs.py::test_a_run_that_kills_its_worker_three_times_is_quarantined",
    "grace_over": "integration/test_kernel_pausing.py::test_what_did_not_save_in_time_rests_too_and_says_so",
    "will_not_fit": "integration/test_projections.py",
    "too_many_steps": "unit/test_attacks_recipes.py",
    "beyond_context": "unit/test_attacks_recipes.py",
    "rank_beyond_layer": "unit/test_attacks_recipes.py",
    "cpu_limit": "integration/test_kernel_supervision.py",
    "file_limit": "integration/test_kernel_supervision.py",
    "crashed": "integration/test_kernel_supervision.py::test_a_crash_leaves_the_end_of_the_log",
    "rank_lost": "engine/test_engine_cards.py",
    "no_result": "integration/test_kernel_supervision.py::test_an_end_without_a_result_is_a_failure",
}


@pytest.mark.parametrize("code", CATALOGUE)
def test_it_can_be_brought_about(code, tmp_path, monkeypatch):
    provoke = CATALOGUE[code]
    arguments = (tmp_path, monkeypatch)[: provoke.__code__.co_argcount]
    with pytest.raises(Refused) as refused:
        provoke(*arguments)
    assert refused.value.code == code
    assert str(refused.value)


def test_every_code_is_in_one_of_the_two_lists():
    assert set(CATALOGUE) | set(ELSEWHERE) == set(FAILURES)
    assert not set(CATALOGUE) & set(ELSEWHERE)


@pytest.mark.parametrize("code", ELSEWHERE)
def test_the_test_that_is_named_exists_and_names_the_code(code):
    path, _, name = ELSEWHERE[code].partition("::")
    text = (Path(settings.BASE_DIR) / "tests" / path).read_text()
    assert f'"{code}"' in text
    assert not name or f"def {name}(" in text


# Where it happened


def prepared():
    examples = [{"input_ids": [1, 2, 3]}, {"input_ids": [4, 5]}, {"input_ids": [6] * 9}]
    return Prepared(examples=examples, rows=[10, 20, 30])


def padded(*rows):
    width = max(map(len, rows))
    ids = np.array([[*row, *[0] * (width - len(row))] for row in rows])
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


def test_out_of_memory_names_the_step_and_the_longest_row_of_the_batch():
    problem = named(MemoryError(), step=31, batch=padded([4, 5], [6] * 9), prepared=prepared())
    assert problem.where == {
        "step": 31,
        "rows": [30, 20],
        "longest_row": 30,
        "longest_tokens": 9,
        "batch_rows": 2,
        "batch_tokens": 18,
    }
    assert "at step 31" in str(problem) and "row 30 with 9 tokens" in str(problem)


def test_rows_that_share_a_sequence_are_told_apart():
    packed = {"input_ids": np.array([[1, 2, 3, 4, 5]]), "position_ids": np.array([[0, 1, 2, 0, 1]])}
    assert blame.rows_of(packed, prepared()) == [(10, 3), (20, 2)]


def test_a_pair_is_as_long_as_its_longer_answer():
    pairs = Prepared(examples=[{"prompt_ids": [1], "chosen_ids": [2, 3], "rejected_ids": [4]}], rows=[5])
    assert blame.rows_of(padded([1, 2, 3], [1, 4]), pairs) == [(5, 3)]


def test_a_batch_that_nobody_knows_leaves_the_step():
    assert blame.where(padded([9, 9]), prepared(), 4) == {"step": 4}
    assert blame.where(None, prepared(), 4) == {"step": 4}
    assert blame.longest({"step": 4}) == ""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory", "oom"),
        ("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate", "oom"),
        ("I/O error: No space left on device (os error 28)", "disk_full"),
        ("PytorchStreamWriter failed writing file data/0: file write failed", "disk_full"),
        ("I/O error: Input/output error (os error 5)", "disk_error"),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "device_error"),
        ("NCCL communicator was aborted", "device_error"),
        ("", "internal"),
    ],
)
def test_failures_of_libraries_are_told_apart(text, code):
    assert named(RuntimeError(text)).code == code


def test_the_traceback_goes_with_it_without_the_places_of_the_machine():
    try:
        json.loads("{")
    except ValueError as problem:
        detail = named(problem).detail
    assert detail.startswith("Traceback") and "json/decoder.py" in detail
    assert str(settings.BASE_DIR) not in detail and "/lib/python" not in detail


@pytest.mark.parametrize("said", ["NCCL communicator was aborted", "[gloo] Connection closed by peer", "Broken pipe"])
def test_a_lost_process_is_one_only_where_there_are_several(said, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert named(RuntimeError(said)).code == "rank_lost"
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert named(RuntimeError(said)).code != "rank_lost"
