"""How a run is made fast: decisions and their reasons, without a model or a card."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.domain.pace import Card, Widths, decide, obstacle, passes
from training.domain.recipe import Recipe

GIB = 1024**3
QWEN = Widths(1_543_714_304, 1536, 8960, 28, 1536, 256, 151_936)
LLAMA = Widths(8_030_261_248, 4096, 14336, 32, 4096, 1024, 128_256)
H200 = Card("cuda", 140 * GIB, "varlen")


def recipe(**values) -> Recipe:
    return Recipe.read({"batch_size": 8, "accumulation": 2} | values)


def test_a_small_model_on_a_large_card_keeps_its_activations():
    pace = decide(recipe(), H200, QWEN, 2048, None)

    assert (pace.path, pace.attention, pace.recompute) == ("fast", "varlen", False)
    assert (pace.rows, pace.accumulation) == (16, 1)
    assert pace.tokens > 20_000
    assert any("kept, since they fit" in reason for reason in pace.reasons)


def test_an_8b_model_on_a_large_card_keeps_them_too():
    pace = decide(recipe(), H200, LLAMA, 2048, None)

    assert not pace.recompute
    assert 16_384 < pace.tokens < 32_768


def test_a_small_card_makes_activations_again():
    pace = decide(recipe(max_length=8192), Card("cuda", 24 * GIB, "varlen"), LLAMA, 8000, None)

    assert pace.recompute
    assert any("too few tokens would fit" in reason for reason in pace.reasons)


def test_what_does_not_fit_at_all_is_still_tried_with_the_longest_row():
    pace = decide(recipe(), Card("cuda", 8 * GIB, "varlen"), LLAMA, 500, None)

    assert (pace.tokens, pace.recompute) == (500, True)


@pytest.mark.parametrize(
    ("card", "values", "obstacle", "said"),
    [
        (Card("cpu"), {}, None, "there is no GPU"),
        (Card("cuda", 80 * GIB, "sdpa"), {}, None, "flash-attn is not there"),
        (H200, {"pace": "library"}, None, "the recipe says so"),
        (H200, {"method": "dpo", "pace": "library"}, None, "the recipe says so"),
        (Card("cpu"), {"method": "dpo"}, None, "there is no GPU"),
        (H200, {"method": "dpo"}, "LoRA dropout needs a pass of its own over every input", "LoRA dropout"),
        (H200, {}, "GptForCausalLM is not one of the families that have it", "not one of the families"),
    ],
)
def test_every_fallback_is_named(card, values, obstacle, said):
    chosen = recipe(**values)

    pace = decide(chosen, card, QWEN, 270, obstacle)

    assert pace.path == "library"
    assert said in pace.reasons[0]
    assert (pace.rows, pace.accumulation) == (chosen.batch_size, chosen.accumulation)


def test_pairs_are_compared_by_the_fast_pass_which_reads_with_the_reference_first():
    pairs, rows = decide(recipe(method="dpo"), H200, QWEN, 4096, None), decide(recipe(), H200, QWEN, 4096, None)

    assert (pairs.path, pairs.rows, pairs.accumulation, pairs.tokens) == ("fast", 16, 1, rows.tokens)
    assert pairs.reasons[2:] == rows.reasons
    assert "once, before the first step, and kept" in pairs.reasons[0]
    assert "Both answers of a pair" in pairs.reasons[1]


@pytest.mark.parametrize(
    ("values", "said"),
    [({"dropout": 0.1}, "dropout"), ({"four_bit": True}, "4-bit"), ({"target_modules": "q_proj"}, "all linear layers")],
)
def test_pairs_fall_back_for_the_same_reasons_as_rows(values, said):
    chosen = recipe(method="dpo", **values)
    pace = decide(chosen, H200, QWEN, 500, obstacle("Qwen2ForCausalLM", chosen))

    assert (pace.path, pace.by_length) == ("library", False)
    assert said in pace.reasons[0]


def test_flash_attention_serves_where_torch_has_no_varlen():
    assert decide(recipe(), Card("cuda", 140 * GIB, "flash"), QWEN, 270, None).attention == "flash"


def test_an_expert_may_have_the_fast_pass_on_a_cpu_too():
    pace = decide(recipe(pace="fast"), Card("cpu"), QWEN, 270, None)

    assert (pace.path, pace.attention, pace.rows, pace.accumulation) == ("fast", "sdpa", 16, 1)
    assert decide(recipe(pace="fast"), Card("cpu"), QWEN, 270, "it is too odd").path == "library"


def test_the_fallback_on_a_card_puts_rows_of_like_length_together_unless_it_was_chosen():
    forced = decide(recipe(), H200, QWEN, 270, "it is too odd")

    assert forced.by_length
    assert forced.recompute
    assert not decide(recipe(pace="library"), H200, QWEN, 270, None).by_length
    assert not decide(recipe(), Card("cpu"), QWEN, 270, None).by_length


@pytest.mark.parametrize(("wish", "again"), [("always", True), ("never", False), ("auto", False)])
def test_an_expert_decides_about_activations(wish, again):
    assert decide(recipe(recompute=wish), H200, QWEN, 270, None).recompute is again


@given(memory=st.integers(10, 200), longest=st.integers(32, 4096), wish=st.sampled_from(["auto", "never", "always"]))
def test_more_memory_never_means_fewer_tokens_without_making_them_again(memory, longest, wish):
    smaller, larger = (
        decide(recipe(recompute=wish), Card("cuda", size * GIB, "varlen"), QWEN, longest, None)
        for size in (memory, 2 * memory)
    )

    assert smaller.tokens >= longest
    assert larger.recompute <= smaller.recompute
    if larger.recompute == smaller.recompute:
        assert larger.tokens >= smaller.tokens


@given(lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=200), most=st.integers(1, 20_000))
def test_passes_take_every_row_once_in_order_and_no_more_tokens_than_fit(lengths, most):
    counts = passes(lengths, most)

    assert sum(counts) == len(lengths)
    first = 0
    for count in counts:
        rows = lengths[first : first + count]
        assert count >= 1
        assert sum(rows) <= most or count == 1
        first += count


def test_passes_are_even_rather_than_full_and_a_rest():
    assert passes([100] * 20, 1900) == [10, 10]
    assert passes([100] * 20, 2000) == [20]
    assert passes([5000, 10, 10], 1000) == [1, 2]


# Weights shared among cards


def test_weights_that_fit_one_card_are_on_each_and_others_are_shared_and_it_is_said_why():
    large = decide(recipe(devices=2), H200, LLAMA, 2048, None)
    small = decide(recipe(devices=4), Card("cuda", 16 * GIB, "varlen"), LLAMA, 2048, None)

    assert not large.sharded and "each has the whole model" in large.reasons[0]
    assert small.sharded and "all 15.0 GiB of them" in small.reasons[1] and "16.0 GiB of one" in small.reasons[1]
    assert not decide(recipe(), Card("cuda", 16 * GIB, "varlen"), LLAMA, 2048, None).sharded, "one card has no others"


@pytest.mark.parametrize("obstacle", [None, "it is of another family"])
def test_an_expert_decides_otherwise_on_either_pass(obstacle):
    shared = decide(recipe(devices=2, sharding="shard"), H200, QWEN, 2048, obstacle)
    whole = decide(recipe(devices=2, sharding="replicate"), Card("cuda", 4 * GIB, "varlen"), LLAMA, 2048, obstacle)

    assert shared.sharded and any("the recipe says so" in reason for reason in shared.reasons)
    assert not whole.sharded


def test_a_4_bit_base_and_a_memory_that_is_not_known_leave_the_weights_whole():
    tight = Card("cuda", 4 * GIB, "varlen")
    assert not decide(recipe(devices=2, four_bit=True), tight, LLAMA, 2048, "4 bit").sharded
    assert not decide(recipe(devices=2, pace="fast"), Card("cpu"), LLAMA, 2048, None).sharded


@given(st.integers(2, 15), st.integers(8, 200))
def test_more_cards_have_less_of_the_weights_each_and_room_for_more_tokens(devices, gib):
    card = Card("cuda", gib * GIB, "varlen")
    few, more = (decide(recipe(devices=n, sharding="shard"), card, LLAMA, 512, None) for n in (devices, devices + 1))

    assert LLAMA.share_of_a_card(devices + 1) < LLAMA.share_of_a_card(devices) < LLAMA.parameters
    assert more.recompute <= few.recompute
    assert more.tokens >= few.tokens or more.recompute < few.recompute
