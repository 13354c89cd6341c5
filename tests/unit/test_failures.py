"""Failures in plain words: every code is explained, its advice can be followed by a button, its money is counted."""

from pathlib import Path

import pytest
from django.conf import settings

from training.domain import failures, kept
from training.domain.failures import FAILURES, Retry, explain, shorten
from training.domain.recipe import Recipe
from training.domain.remedies import remedy

ROOT = Path(settings.BASE_DIR)


def test_the_page_of_failures_is_what_the_code_says():
    assert (ROOT / "docs" / "failures.md").read_text() == failures.as_markdown(), (
        "run `python -m training.domain.failures > docs/failures.md`"
    )


def test_there_are_enough_causes_and_each_says_what_to_do():
    assert len(FAILURES) >= 25
    for one in FAILURES.values():
        assert one.title.endswith(".") and one.advice.endswith("."), one.code
        assert len(one.advice) > 20 and one.retry in Retry, one.code
    assert len({one.title for one in FAILURES.values()}) >= len(FAILURES) - 2, "two causes that read the same"


def test_an_unknown_code_still_gets_an_answer():
    assert explain("never heard of").advice and explain("never heard of").retry is Retry.MAY_HELP


@pytest.mark.parametrize(
    ("code", "recipe", "changes"),
    [
        ("oom", {"batch_size": 8, "accumulation": 2}, {"batch_size": 4, "accumulation": 4}),
        ("oom", {"batch_size": 7}, {"batch_size": 3, "accumulation": 3}),
        ("oom", {"batch_size": 1}, {"four_bit": True}),
        ("oom", {"batch_size": 1, "four_bit": True, "max_length": 900}, {"max_length": 450, "cut": "drop"}),
        ("oom", {"batch_size": 1, "four_bit": True, "max_length": 200}, None),
        ("infra_quarantined", {"batch_size": 2}, {"batch_size": 1, "accumulation": 2}),
        ("nan_loss", {"learning_rate": 2e-4}, {"learning_rate": 6.7e-5}),
        ("nan_loss", {"learning_rate": 1e-8}, None),
        ("answer_cut", {}, {"cut": "drop"}),
        ("template", {}, {"cut": "drop"}),
        ("no_trained_tokens", {"max_length": 512}, {"max_length": 1024}),
        ("no_trained_tokens", {"max_length": 131_072}, None),
        ("unknown_module", {"target_modules": ["fc1"]}, {"target_modules": ("all-linear",)}),
        ("no_quantiser", {"four_bit": True}, {"four_bit": False}),
        ("file_limit", {"rank": 16, "alpha": 32}, {"rank": 8, "alpha": 16}),
        ("file_limit", {"rank": 1, "alpha": 2}, None),
        ("worker_lost", {}, None),
    ],
)
def test_the_remedy_is_a_recipe_that_can_be_started(code, recipe, changes):
    before = Recipe.read(recipe)
    found = remedy(code, before)
    assert (found.changes if found else None) == changes
    if found:
        after = Recipe.read(before.as_dict() | found.changes)
        assert after != before
        assert code not in {"oom"} or "batch_size" not in changes or after.rows_per_step >= before.rows_per_step


def test_a_traceback_names_packages_and_no_places_of_the_machine():
    text = (
        'File "/srv/app/.venv/lib/python3.11/site-packages/torch/nn/modules.py", line 3\n'
        f'File "{ROOT}/training/engine/run.py", line 9\n'
        'File "/usr/lib/python3.11/json/decoder.py", line 2\n'
        "ValueError: 7/8 of it"
    )
    assert shorten(text) == (
        'File "torch/nn/modules.py", line 3\nFile "training/engine/run.py", line 9\n'
        'File "python/json/decoder.py", line 2\nValueError: 7/8 of it'
    )


# What checkpoints keep of the money


def test_the_time_up_to_the_last_save_is_kept():
    saves = kept.noted(kept.noted({}, 1, 10, 60.0), 1, 20, 120.0)
    assert kept.share(saves, 1, 200.0, [10, 20]) == 0.6
    assert kept.share(saves, 1, 200.0, [10]) == 0.3, "the newest is torn, so only the one before counts"
    assert kept.share(saves, 1, 200.0, []) == 0
    assert kept.share(saves, 2, 200.0, [10, 20]) == 0, "an attempt that never saved"
    assert kept.share(saves, 1, 0, [20]) == 0


def test_what_was_built_upon_is_kept_though_its_own_checkpoint_is_gone():
    saves = kept.resumed(kept.noted({}, 1, 20, 120.0), 20)
    saves = kept.noted(kept.noted(saves, 2, 30, 50.0), 2, 40, 100.0)
    assert kept.share(saves, 1, 150.0, [30, 40]) == 0.8
    assert kept.share(saves, 2, 125.0, [30, 40]) == 0.8


def test_what_lies_beyond_where_an_attempt_began_is_given_up():
    saves = kept.noted(kept.noted({}, 1, 10, 60.0), 1, 20, 120.0)
    assert kept.resumed(saves, 10) == {"1": [[10, 60.0]]}
    assert kept.resumed(saves, 0) == {}


def test_only_the_last_saves_are_remembered():
    saves: dict = {}
    for step in range(1, 50):
        saves = kept.noted(saves, 1, step, float(step))
    assert [step for step, _ in saves["1"]] == [46, 47, 48, 49]
