"""Orders of the OpenAI API, read strictly: any JSON is an order or a refusal that names what is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projects.domain.errors import Invalid
from training.api.openai import orders
from training.domain import finetuning
from training.domain.recipe import Recipe

pytestmark = pytest.mark.slow  # properties, and children under limits: whole seconds together

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
ANY = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "supervised", "dpo", "hyperparameters", "n_epochs", "batch_size", "beta", "x"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*orders.KNOWN, "colour"]), ANY))
@settings(max_examples=400, deadline=None)
def test_any_body_is_an_order_or_refused(body):
    try:
        order = orders.read(body)
    except Invalid as refused:
        assert refused.message and refused.code
    else:
        assert order["model"] and order["method"] in finetuning.METHODS
        assert set(order["hyperparameters"]) == set(finetuning.OF_METHOD[order["method"]])


@given(
    st.sampled_from(["supervised", "dpo"]),
    st.one_of(st.just("auto"), st.integers(1, 50)),
    st.one_of(st.just("auto"), st.integers(1, 256)),
    st.one_of(st.just("auto"), st.floats(0.001, 100)),
    st.integers(0, 2**31 - 1),
    st.integers(1, 5000),
)
@settings(max_examples=200, deadline=None)
def test_what_can_be_ordered_is_a_recipe_and_is_told_back(method, epochs, batch, rate, seed, longest):
    hyper = {"n_epochs": epochs, "batch_size": batch, "learning_rate_multiplier": rate}

    raw = finetuning.recipe_of(method, hyper, seed=seed, longest=longest, context=4096)
    recipe = Recipe.read(raw)
    told = finetuning.resolved(method, hyper, recipe.as_dict())

    assert recipe.max_length == max(16, min(longest, 4096)) and recipe.seed == seed
    assert batch == "auto" or told["batch_size"] == recipe.rows_per_step == batch
    assert epochs == "auto" or told["n_epochs"] == epochs
    assert rate == "auto" or told["learning_rate_multiplier"] == pytest.approx(rate, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("ft:a/b:p:s:a12", 12), ("ft:a:b:c:d:a7", 7), ("ft:a:b::a1", 1), ("ft:a:b:c:a", None), ("a12", None),
        ("ft:a:b:c:a١", None), ("ft:a:b:c:a1 ", None), ("gpt-4o", None), ("ft::a9" + "9" * 40, None),
    ],
)  # fmt: skip
def test_the_adapter_in_a_name(name, number):
    assert finetuning.adapter_of(name) == number


@pytest.mark.parametrize("wrong", ["file-", "file-x", "file--1", "file-1 ", "ftjob-1", "file-١", "file-" + "9" * 30])
def test_ids_that_are_none(wrong):
    assert finetuning.read_id(wrong, "file") is None
