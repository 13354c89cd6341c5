"""Rules about people, tokens, money and lifecycles, without a database."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.domain import money, policies, tokens
from projects.domain.errors import Invalid, Refused
from projects.domain.machine import IllegalMove, Machine
from projects.domain.permissions import GRANTS, PERSON_ONLY, Permission, Role
from projects.domain.spreadsheets import safe_cell
from projects.domain.states import ACTIVE, JOB, OVER, WAITS_FOR_PEOPLE, WITHOUT_RESULT, JobState, Outcome

# Owners


@pytest.mark.parametrize(
    ("old", "new", "others", "refused"),
    [
        ("owner", None, 0, True),
        ("owner", "viewer", 0, True),
        ("owner", "owner", 0, False),
        ("owner", None, 1, False),
        ("owner", "engineer", 1, False),
        ("engineer", None, 0, False),
        ("viewer", "owner", 0, False),
    ],
)
def test_a_project_always_keeps_an_owner(old, new, others, refused):
    if refused:
        with pytest.raises(policies.LastOwner, match="Make another member an owner first"):
            policies.keep_an_owner(old, new, others)
    else:
        policies.keep_an_owner(old, new, others)


# Addresses of projects


def test_a_free_slug_is_taken_as_it_is():
    assert policies.free_slug("routing", set()) == "routing"


@given(st.text("ab-", max_size=80), st.sets(st.text("ab-2", max_size=50)))
def test_a_slug_is_always_free_short_and_no_address_of_its_own(wanted, taken):
    slug = policies.free_slug(wanted, taken)

    assert slug
    assert len(slug) <= policies.SLUG_LENGTH
    assert slug not in taken | policies.RESERVED_SLUGS


# Tokens


@pytest.mark.parametrize("days", [1, 30, 90])
def test_a_token_may_live_one_to_ninety_days(days):
    assert policies.token_life(days).days == days


@pytest.mark.parametrize("days", [-1, 0, 91])
def test_another_life_is_refused(days):
    with pytest.raises(Invalid):
        policies.token_life(days)


def test_tokens_are_recognised_and_never_alike():
    made = {tokens.new_token() for _ in range(200)}

    assert len(made) == 200
    assert all(tokens.looks_like_token(token) for token in made)


@given(st.integers(4, 52), st.sampled_from(tokens.ALPHABET))
def test_a_mistyped_token_is_no_token(place, character):
    token = tokens.new_token()
    mistyped = token[:place] + character + token[place + 1 :]

    assert tokens.looks_like_token(mistyped) is (mistyped == token)


@pytest.mark.parametrize("text", ["", "lut_", "lut_" + "0" * 49, "ghp_" + "0" * 49, "lut_" + "é" * 49])
def test_other_strings_are_no_tokens(text):
    assert not tokens.looks_like_token(text)


# Permissions


def test_an_owner_may_everything_and_a_viewer_changes_nothing():
    assert GRANTS[Role.OWNER] == set(Permission)
    assert GRANTS[Role.VIEWER] == {Permission.PROJECT_VIEW, Permission.TOKEN_CREATE}


def test_whoever_trains_does_not_decide_and_whoever_decides_does_not_train():
    assert Permission.DEPLOYMENT_DECIDE not in GRANTS[Role.ENGINEER]
    assert Permission.RUN_START not in GRANTS[Role.REVIEWER]


def test_what_makes_rights_or_decisions_is_for_persons_only():
    assert {Permission.TOKEN_CREATE, Permission.DEPLOYMENT_DECIDE, Permission.MEMBER_MANAGE} <= PERSON_ONLY
    assert Permission.RUN_START not in PERSON_ONLY


# Lifecycles


def test_a_job_that_succeeded_stays_so():
    assert JOB.is_final(JobState.SUCCEEDED)
    with pytest.raises(IllegalMove, match="What is succeeded cannot become queued"):
        JOB.check(JobState.SUCCEEDED, JobState.QUEUED)


def test_every_state_of_a_job_is_draft_active_over_or_waits_for_people():
    assert ACTIVE | OVER | WAITS_FOR_PEOPLE | {JobState.DRAFT} == set(JobState)
    assert not ACTIVE & OVER


def test_only_success_and_what_a_pause_keeps_are_results():
    assert set(Outcome) - WITHOUT_RESULT == {Outcome.SUCCEEDED, Outcome.PAUSED}


def test_a_machine_draws_itself():
    machine = Machine("job", {JobState.QUEUED: frozenset({JobState.RUNNING}), JobState.RUNNING: frozenset()})

    assert machine.mermaid().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> queued",
        "    queued --> running",
        "    running --> [*]",
    ]


# Money


def test_amounts_are_rounded_once_to_a_millionth():
    assert money.amount(Decimal("0.333333"), Decimal("3.50")) == Decimal("1.166666")
    assert money.hours(3600) == 1
    assert money.hours(-5) == 0


@given(st.floats(0, 1e7, allow_nan=False))
def test_hours_never_lose_more_than_a_millionth(seconds):
    assert abs(money.hours(seconds) - Decimal(str(seconds)) / 3600) <= Decimal("0.0000005")


def test_currencies_are_known_once():
    assert len(set(money.CURRENCIES)) == len(money.CURRENCIES)
    assert all(len(code) == 3 and code.isupper() for code in money.CURRENCIES)


# Spreadsheets


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@a", "\t=", "\r", "\n=", " =1", "\u00a0=1", "＝1", "＠", "|x", "\0=1"]
)
def test_a_formula_becomes_text(text):
    assert safe_cell(text).startswith("'")


@pytest.mark.parametrize("text", ["", "tone v2", "a=1", "1-2", "'quoted", "ticket №5"])
def test_plain_text_stays(text):
    assert safe_cell(text) == text


@given(st.text(max_size=40))
def test_no_cell_starts_a_formula(text):
    cell = safe_cell(text)

    assert cell.lstrip()[:1] not in set("=+-@|＝＋－＠")
    assert cell[:1] not in {"\t", "\r", "\n"}
    assert "\0" not in cell


# Refusals


def test_a_refusal_says_what_where_and_how_it_is_answered():
    refused = Refused("No.", code="no", field="name")
    invalid = Invalid("Bad.")

    assert (str(refused), refused.code, refused.field, refused.status) == ("No.", "no", "name", 409)
    assert (invalid.code, invalid.field, invalid.status) == ("invalid", None, 400)
