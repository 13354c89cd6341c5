"""YAML of strangers: what is read, what is refused, and that nothing grows, runs or is silently overwritten."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from training.domain.dialects import yaml_text
from training.domain.dialects.yaml_text import BadYaml

pytestmark = pytest.mark.slow  # properties, and children under limits: whole seconds together


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1.0e-4", 1e-4), ("5E-06", 5e-6), (".5", 0.5), ("3", 3), ("-1", -1), ("+2", 2), ("010", 10),
        ("1:30", "1:30"), ("0x1F", "0x1F"), ("1_000", "1_000"), ("2026-11-29", "2026-11-29"), (".nan", ".nan"),
        (".inf", ".inf"), ("yes", True), ("off", False), ("No", False), ("~", None), ("", None), ("null", None),
        ("nobody", "nobody"), ('"1e-4"', "1e-4"), ("[a, 1]", ["a", 1]), ("<<", "<<"),
        ("9" * 40, "9" * 40),
    ],
)  # fmt: skip
def test_values_are_read_as_the_tools_mean_them(text, value):
    found = yaml_text.read(f"key: {text}\n")["key"]

    assert (found, type(found)) == (value, type(value))


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (BOMB, "alias", "Line 1"),
        ("a: &x 1\n", "alias", "Write the value out"),
        ("a: !!python/object/apply:os.system [ls]\n", "tag", "Line 1"),
        ("a: !mine 1\n", "tag", "not read"),
        ("rank: 1\nalpha: 2\nrank: 3\n", "duplicate_key", "Line 3: “rank”"),
        ("a:\n  b: 1\n  b: 2\n", "duplicate_key", "Line 3"),
        ("{a: 1, a: 2}", "duplicate_key", "second time"),
        ("? [a, b]\n: 1\n", "bad_yaml", "plain word"),
        ("- a\n- b\n", "not_a_mapping", "key: value"),
        ("just words", "not_a_mapping", "key: value"),
        ("", "empty", "Paste"),
        ("  \n# only this\n", "not_a_mapping", "key: value"),
        ("a: 1\n---\nb: 2\n", "bad_yaml", "holds too much"),
        ("a: [1, 2\n", "bad_yaml", "Line 2"),
        ("a:\n\tb: 1\n", "bad_yaml", "Tabs"),
        ("a: b: c\n", "bad_yaml", "Line 1, column 5"),
        ("a: \x00", "bad_yaml", "NUL"),
        ("a: \x07", "bad_yaml", "not YAML"),
        ("a: " + "[" * 5000, "bad_yaml", "too deeply"),
        ("".join(f"k{n}: 1\n" for n in range(1500)), "bad_yaml", "too much"),
        ("a: " + "x" * 70_000, "too_large", "64,000 bytes"),
    ],
)
def test_what_is_refused_says_where_and_what_to_do(text, code, says):
    began = time.monotonic()
    with pytest.raises(BadYaml) as refused:
        yaml_text.read(text)

    assert (refused.value.code, says in refused.value.message) == (code, True), refused.value.message
    assert time.monotonic() - began < 5


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text):
    try:
        assert isinstance(yaml_text.read(text), dict)
    except BadYaml as refused:
        assert refused.message


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
        st.one_of(
            st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(),
            st.from_regex(r"[a-zA-Z/.:_-]{0,20}", fullmatch=True), st.lists(st.integers(0, 9), max_size=3),
        ),
        min_size=1,
    )
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_the_same_by_us_and_by_yaml_1_1(values):
    text = yaml_text.write(values, ["a comment"])

    assert yaml_text.read(text) == values
    assert yaml.safe_load(text) == values
