"""The limit of a card: the figures of two published shapes, and what is not counted."""

import pytest

from training.domain import ceiling
from training.domain.projection.formula import Shape

QWEN = Shape(1_543_714_304, 1536, 28, 151_936, heads=12, kv_heads=2, head_dim=128, intermediate=8960)
LLAMA = Shape(8_030_261_248, 4096, 32, 128_256, heads=32, kv_heads=8, head_dim=128, intermediate=14_336)


@pytest.mark.parametrize(("shape", "passed"), [(QWEN, 1.5436e9), (LLAMA, 7.505e9)])
def test_four_operations_for_each_parameter_that_a_token_passes(shape, passed):
    limit = ceiling.tokens_a_second(shape, "sft", "NVIDIA H200")
    assert limit == pytest.approx(989e12 / (4 * passed), rel=1e-3)
    assert ceiling.tokens_a_second(shape, "dpo", "NVIDIA H200") == pytest.approx(limit * 4 / 6)
    assert ceiling.tokens_a_second(shape, "sft", "NVIDIA H200", cards=2) == pytest.approx(limit * 2)


@pytest.mark.parametrize(
    ("name", "speed"),
    [("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA A100-SXM4-80GB", 312), ("NVIDIA A10", 125),
     ("NVIDIA L4", 121), ("NVIDIA L40S", 362), ("Tesla T4", 65), ("NVIDIA GeForce RTX 4090", 165)],
)  # fmt: skip
def test_cards_are_known_by_name(name, speed):
    assert ceiling.tokens_a_second(LLAMA, "sft", name) == pytest.approx(speed * 1e12 / (4 * 7.505e9), rel=1e-3)


def test_what_is_not_known_has_no_limit():
    assert ceiling.tokens_a_second(LLAMA, "sft", "4 CPU threads") is None
    assert ceiling.tokens_a_second(LLAMA, "sft", "") is None
    assert ceiling.tokens_a_second(Shape(7_000_000_000), "sft", "NVIDIA H200") is None
    experts = Shape(46_700_000_000, 4096, 32, 32_000, heads=32, kv_heads=8, head_dim=128, intermediate=14_336)
    assert ceiling.tokens_a_second(experts, "sft", "NVIDIA H200") is None
