"""The diagrams in docs/states are what the code obeys."""

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from projects.management.commands import states

FOLDER = settings.BASE_DIR / "docs" / "states"


def test_the_diagrams_are_not_stale():
    present = {path.name: path.read_text() for path in FOLDER.glob("*.md")}

    assert present == states.pages(), "run `make states`"


def test_every_lifecycle_says_who_lives_by_it():
    for machine, models in states.lifecycles().values():
        assert models
        assert set(machine.moves) == {state for state in type(next(iter(machine.moves)))}, "a state without a row"


def test_every_state_can_be_reached_and_the_final_ones_end():
    for name, (machine, _) in states.lifecycles().items():
        start = next(iter(machine.moves))
        reached, todo = {start}, [start]
        while todo:
            for follower in machine.moves[todo.pop()] - reached:
                reached.add(follower)
                todo.append(follower)
        assert reached == set(machine.moves), name
        assert any(machine.is_final(state) for state in machine.moves), name


def test_the_command_writes_checks_and_removes(tmp_path, monkeypatch):
    monkeypatch.setattr(states, "FOLDER", tmp_path / "states")
    call_command("states", verbosity=0)
    call_command("states", "--check")
    written = sorted(path.name for path in (tmp_path / "states").iterdir())
    assert written == sorted(states.pages())

    (tmp_path / "states" / written[0]).write_text("old")
    (tmp_path / "states" / "gone.md").write_text("a lifecycle that is gone")
    with pytest.raises(CommandError, match=r"gone\.md"):
        call_command("states", "--check")

    call_command("states", verbosity=0)
    assert not (tmp_path / "states" / "gone.md").exists()
