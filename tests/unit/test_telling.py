"""Who is told of what by e-mail: what a person chose, else what is usual for their role."""

import pytest

from projects.domain import telling
from projects.domain.permissions import Role
from projects.domain.telling import Mail, Tell

OWN, E, R, V = Role.OWNER, Role.ENGINEER, Role.REVIEWER, Role.VIEWER


@pytest.mark.parametrize(
    ("tell", "wanted"),
    [
        (Tell.NOBODY, {OWN: Mail.OFF, E: Mail.OFF, R: Mail.OFF, V: Mail.OFF}),
        (Tell.WHOSE, {OWN: Mail.MINE, E: Mail.MINE, R: Mail.MINE, V: Mail.MINE}),
        (Tell.OWNERS, {OWN: Mail.ALL, E: Mail.OFF, R: Mail.OFF, V: Mail.OFF}),
        (Tell.DECIDERS, {OWN: Mail.ALL, E: Mail.OFF, R: Mail.ALL, V: Mail.OFF}),
    ],
)
def test_what_is_usual_for_a_role(tell, wanted):
    assert {role: telling.usual(tell, role) for role in Role} == wanted


def test_a_choice_wins_and_nonsense_does_not():
    assert telling.chosen("run.failed", Tell.WHOSE, V, {"run.failed": "all"}) is Mail.ALL
    assert telling.chosen("run.failed", Tell.WHOSE, V, {"run.failed": "loud"}) is Mail.MINE
    assert telling.chosen("run.failed", Tell.WHOSE, V, {"run.cancelled": "all"}) is Mail.MINE


def test_nobody_is_told_of_their_own_doing():
    assert telling.is_told(Mail.MINE, mine=True, own_doing=False)
    assert not telling.is_told(Mail.MINE, mine=False, own_doing=False)
    assert telling.is_told(Mail.ALL, mine=False, own_doing=False)
    assert not telling.is_told(Mail.ALL, mine=True, own_doing=True)
    assert not telling.is_told(Mail.OFF, mine=True, own_doing=False)
