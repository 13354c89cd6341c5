"""Evidence: one digest for equal facts, another for any change, and the change in words."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain import evidence, gates
from tests.unit.test_deployments_gates import FACTS

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, width=32) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_the_digest_survives_a_round_trip_through_json(facts):
    again = json.loads(json.dumps(facts))
    assert evidence.digest(again) == evidence.digest(facts)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_the_order_of_keys_does_not_matter(facts):
    assert evidence.digest(dict(reversed(facts.items()))) == evidence.digest(facts)


def test_whole_numbers_have_one_spelling():
    assert evidence.digest({"a": 1.0, "b": 1e22}) == evidence.digest({"a": 1, "b": 10**22})


def test_the_digest_is_pinned():
    """A change of the canonical form would void every approval in every installation."""
    facts = {"b": [1, 2.5, None, True], "a": {"ü": "x\u2028"}}
    assert evidence.canonical(facts) == '{"a":{"ü":"x\u2028"},"b":[1,2.5,null,true]}'.encode()
    assert evidence.digest(facts) == "bf83fc542724628af9e1e66e563d6d6602b1bda1a0b4f09202a16a1c655a26fb"


def paths(value, here=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*here, key))
    else:
        yield here


def changed(value):
    if isinstance(value, bool) or value is None:
        return "changed"
    if isinstance(value, list):
        return [*value, "more"]
    return value + 1 if isinstance(value, int | float) else value + "x"


WHOLE = FACTS | {"gates": {gate.code: gate.as_evidence() for gate in gates.judge(FACTS)}}


@pytest.mark.parametrize("path", list(paths(WHOLE)), ids="/".join)
def test_any_single_change_makes_another_digest_and_is_named(path):
    other = copy.deepcopy(WHOLE)
    inner = other
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = changed(inner[path[-1]])

    assert evidence.digest(other) != evidence.digest(WHOLE)
    assert [change.field for change in evidence.changes(WHOLE, other)] == ["/".join(path)]


def test_no_change_is_no_change():
    assert evidence.changes(WHOLE, copy.deepcopy(WHOLE)) == []


def test_a_change_reads_like_a_sentence():
    before = {"live": None, "adapter": {"found": {"adapter_model.safetensors": "aa"}}}
    after = {"live": {"adapter": "router 3"}, "adapter": {"found": {"adapter_model.safetensors": "missing"}}}
    assert [str(change) for change in evidence.changes(before, after)] == [
        "Adapter file on disk, adapter model.safetensors: aa → missing",
        "Live in the slot, adapter: — → router 3",
    ]


def test_the_order_of_a_list_is_no_change():
    assert evidence.changes({"measurements": ["a", "b"]}, {"measurements": ["b", "a"]}) == []
