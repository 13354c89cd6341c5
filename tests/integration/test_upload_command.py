"""manage.py upload: files of this machine, with the same rules as every other door."""

import json

import pytest
from django.core.management import CommandError, call_command

from datasets_app.management.commands.upload import Command
from projects.domain.permissions import Role
from tests.factories.datasets import jsonl, make_dataset, tickets
from tests.factories.projects import make_member, make_project, run_jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_children")]


@pytest.fixture
def dataset(monkeypatch):
    monkeypatch.setattr(Command, "wait_for", lambda self, upload: run_jobs() and upload.refresh_from_db())
    project = make_project()
    return make_dataset(project, make_member(project, Role.OWNER), name="Tickets")


def upload(dataset, path, *more):
    call_command("upload", dataset.project.slug, "Tickets", str(path), *more)


def test_files_become_versions_and_the_command_says_so(dataset, tmp_path, capsys):
    path = tmp_path / "tickets.jsonl"
    path.write_bytes(jsonl(tickets(3)) + b"broken\n")

    upload(dataset, path, "--json")
    said = json.loads(capsys.readouterr().out)

    assert (said["state"], said["rows_good"], said["bad_codes"]) == ("succeeded", 3, {"invalid_json": 1})
    assert dataset.versions.get().number == said["version"] == 1


def test_hold_and_mapping_are_passed_on(dataset, tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(jsonl([{"q": "2+2?", "a": "4"}, {"q": "1+1?"}]))

    upload(dataset, path, "--hold", "--mapping", '{"columns": {"q": "prompt", "a": "completion"}}')

    assert "1 good rows wait for the bad ones" in capsys.readouterr().out.replace("\u202f", " ")


def test_a_file_that_becomes_nothing_ends_the_command_with_an_error(dataset, tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_bytes(b'{"foo": 1}\n')

    with pytest.raises(CommandError, match="1 of 1 files became no version"):
        upload(dataset, path)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--by", "nobody@example.org"], "no member"),
        (["--mapping", "{"], "not JSON"),
        (["--mapping", '{"rows": {}}'], "no part of a mapping"),
        (["--provenance", '{"origin": "martians"}'], "not understood"),
        (["--mends", "99"], "no upload"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_stored(dataset, tmp_path, words, why):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(jsonl(tickets(1)))

    with pytest.raises(CommandError, match=why):
        upload(dataset, path, *words)


def test_unknown_datasets_and_files_are_named(dataset, tmp_path):
    with pytest.raises(CommandError, match="It has: Tickets"):
        call_command("upload", dataset.project.slug, "Tickts", "x")
    with pytest.raises(CommandError, match="cannot be read"):
        upload(dataset, tmp_path / "absent.jsonl")
