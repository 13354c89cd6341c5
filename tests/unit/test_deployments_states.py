"""The life of a deployment request, cell by cell."""

import itertools

import pytest

from deployments.domain.states import DECIDED, OPEN, OUTCOME, REQUEST, RequestState, Verdict
from projects.domain.errors import Refused

S = RequestState
ALLOWED = {
    (S.SUBMITTED, S.APPROVED),
    (S.SUBMITTED, S.CHANGES_REQUESTED),
    (S.SUBMITTED, S.REJECTED),
    (S.SUBMITTED, S.WITHDRAWN),
    (S.SUBMITTED, S.VOID),
    (S.CHANGES_REQUESTED, S.SUBMITTED),
    (S.CHANGES_REQUESTED, S.WITHDRAWN),
    (S.APPROVED, S.DEPLOYED),
    (S.APPROVED, S.VOID),
    (S.APPROVED, S.REJECTED),
    (S.APPROVED, S.WITHDRAWN),
    (S.VOID, S.SUBMITTED),
    (S.VOID, S.WITHDRAWN),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(S, S)))
def test_only_the_steps_of_the_table_are_taken(old, new):
    if (old, new) in ALLOWED:
        REQUEST.check(old, new)
    else:
        with pytest.raises(Refused) as refused:
            REQUEST.check(old, new)
        assert refused.value.code == "illegal_transition"


def test_nothing_is_deployed_without_approval():
    assert [old for old in S if S.DEPLOYED in REQUEST.moves[old]] == [S.APPROVED]


def test_ends_are_ends():
    assert {s for s in S if REQUEST.is_final(s)} == {S.REJECTED, S.WITHDRAWN, S.DEPLOYED}
    assert not any(REQUEST.is_final(s) for s in OPEN)


def test_every_verdict_but_a_comment_leads_to_a_decided_state():
    assert set(OUTCOME) == set(Verdict) - {Verdict.COMMENT}
    assert set(OUTCOME.values()) == set(DECIDED)
