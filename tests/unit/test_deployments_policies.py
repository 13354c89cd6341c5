"""Who may decide, why not, and until when it holds."""

from datetime import UTC, datetime, timedelta

import pytest

from deployments.domain import policies
from deployments.domain.policies import Person, SelfApproval, SessionRequired
from projects.domain.errors import Refused

ANA, BEN, CEM, DEA = (Person(n, f"{name}@example.org") for n, name in enumerate(["ana", "ben", "cem", "dea"]))
PEOPLE = {"requested_by": ANA, "run_started_by": BEN, "run_created_by": CEM}


@pytest.mark.parametrize(
    ("person", "words"),
    [(ANA, "asked for this deployment"), (BEN, "started the run"), (CEM, "set up the run")],
)
def test_people_tied_to_the_adapter_cannot_decide(person, words):
    with pytest.raises(SelfApproval, match=words) as refused:
        policies.check_decider(person, PEOPLE, session=True)
    assert (refused.value.status, refused.value.code) == (403, "self_approval")


def test_somebody_else_may_decide():
    policies.check_decider(DEA, PEOPLE, session=True)
    assert policies.why_not_decide(DEA, PEOPLE) is None


@pytest.mark.parametrize("email", ["ANA@example.org", "ana+review@example.org", " ana@EXAMPLE.org "])
def test_a_second_account_on_one_mailbox_is_the_same_person(email):
    with pytest.raises(SelfApproval):
        policies.check_decider(Person(99, email), PEOPLE, session=True)


def test_another_mailbox_of_the_same_domain_is_another_person():
    assert policies.why_not_decide(Person(99, "anatol@example.org"), PEOPLE) is None


def test_unknown_people_tie_nobody():
    assert policies.why_not_decide(DEA, {"requested_by": ANA, "run_started_by": None}) is None


def test_a_token_cannot_decide_whoever_holds_it():
    with pytest.raises(SessionRequired):
        policies.check_decider(DEA, PEOPLE, session=False)


@pytest.mark.parametrize("body", ["", "   ", "too short", "x" * 9 + "   "])
def test_a_needed_reason_must_say_something(body):
    with pytest.raises(Refused) as refused:
        policies.check_reason(body, needed=True)
    assert refused.value.field == "body"


def test_a_reason_may_be_left_out_where_none_is_needed():
    policies.check_reason("", needed=False)
    policies.check_reason("The slices look sound.", needed=True)


def test_gates_that_do_not_pass_are_named():
    policies.check_gates([])
    with pytest.raises(Refused, match="Files intact, Evaluated"):
        policies.check_gates(["Files intact", "Evaluated"])


def test_an_approval_holds_for_seven_days_and_not_a_second_longer():
    decided = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert not policies.has_expired(decided, decided + timedelta(days=7, seconds=-1))
    assert policies.has_expired(decided, decided + timedelta(days=7))
