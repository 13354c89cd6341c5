"""How a run is made fast: decisions and their reasons, without a model or a card."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.domain.pace import Card, Widths, decide
from training.domain.recipe import Recipe

GIB = 1024**3
QWEN = Widths(1_543_714_304, 1536, 8960, 28, 1536, 256, 151_936)
LLAMA = Widths(8_030_261_248, 4096, 14336, 32, 4096, 1024, 128_256)
H200 = Card("cuda", 140 * GIB, "varlen")
SHORT = [270] * 1000


def recipe(**values) -> Recipe:
    return Recipe.read({"batch_size": 8, "accumulation": 2} | values)


def test_a_small_model_on_a_large_card_takes_the_whole_step_at_once_and_keeps_its_activations():
    pace = decide(recipe(), H200, QWEN, SHORT, None)

    assert (pace.path, pace.attention, pace.recompute) == ("fast", "varlen", False)
    assert (pace.rows, pace.accumulation) == (16, 1)
    assert any("kept, since they fit" in reason for reason in pace.reasons)
    assert any("16 rows at a time instead of 8" in reason for reason in pace.reasons)


def test_a_small_card_takes_fewer_rows_and_computes_activations_again():
    pace = decide(recipe(max_length=8192), Card("cuda", 24 * GIB, "varlen"), LLAMA, [8000] * 100, None)

    assert pace.recompute
    assert pace.rows < 8
    assert any("would not fit" in reason for reason in pace.reasons)


def test_what_does_not_fit_at_all_is_still_tried_with_one_row():
    pace = decide(recipe(), Card("cuda", 8 * GIB, "varlen"), LLAMA, SHORT, None)

    assert (pace.rows, pace.accumulation, pace.recompute) == (1, 16, True)


@pytest.mark.parametrize(
    ("card", "values", "obstacle", "said"),
    [
        (Card("cpu"), {}, None, "there is no GPU"),
        (Card("cuda", 80 * GIB, "sdpa"), {}, None, "flash-attn is not there"),
        (H200, {"pace": "library"}, None, "the recipe says so"),
        (H200, {"method": "dpo"}, None, "preferences are compared by the library"),
        (H200, {}, "GptForCausalLM is not one of the families that have it", "not one of the families"),
    ],
)
def test_every_fallback_is_named(card, values, obstacle, said):
    chosen = recipe(**values)

    pace = decide(chosen, card, QWEN, SHORT, obstacle)

    assert pace.path == "library"
    assert said in pace.reasons[0]
    assert (pace.rows, pace.accumulation) == (chosen.batch_size, chosen.accumulation)


def test_an_expert_may_have_the_fast_pass_on_a_cpu_too():
    pace = decide(recipe(pace="fast"), Card("cpu"), QWEN, SHORT, None)

    assert (pace.path, pace.attention, pace.rows, pace.accumulation) == ("fast", "sdpa", 8, 2)
    assert decide(recipe(pace="fast"), Card("cpu"), QWEN, SHORT, "it is too odd").path == "library"


def test_flash_attention_serves_where_torch_has_no_varlen():
    assert decide(recipe(), Card("cuda", 140 * GIB, "flash"), QWEN, SHORT, None).attention == "flash"


def test_the_fallback_on_a_card_puts_rows_of_like_length_together():
    pace = decide(recipe(pace="library"), H200, QWEN, SHORT, None)

    assert pace.by_length
    assert pace.recompute
    assert not decide(recipe(pace="library"), Card("cpu"), QWEN, SHORT, None).by_length


@pytest.mark.parametrize(("wish", "recomputed"), [("always", True), ("never", False), ("auto", False)])
def test_an_expert_decides_about_activations(wish, recomputed):
    assert decide(recipe(recompute=wish), H200, QWEN, SHORT, None).recompute is recomputed


@given(
    batch=st.integers(1, 64),
    accumulation=st.integers(1, 16),
    memory=st.integers(4, 200),
    lengths=st.lists(st.integers(1, 4096), min_size=1, max_size=50),
)
def test_a_step_has_exactly_the_rows_that_the_recipe_says(batch, accumulation, memory, lengths):
    chosen = Recipe.read({"batch_size": batch, "accumulation": accumulation})

    pace = decide(chosen, Card("cuda", memory * GIB, "varlen"), QWEN, lengths, None)

    assert pace.rows * pace.accumulation == batch * accumulation
    assert pace.rows >= 1


@given(memory=st.integers(10, 200), length=st.integers(32, 4096))
def test_more_memory_never_means_fewer_rows_without_recomputing(memory, length):
    smaller = decide(recipe(recompute="never"), Card("cuda", memory * GIB, "varlen"), QWEN, [length] * 64, None)
    larger = decide(recipe(recompute="never"), Card("cuda", 2 * memory * GIB, "varlen"), QWEN, [length] * 64, None)

    assert larger.rows >= smaller.rows
