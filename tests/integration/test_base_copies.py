"""Where the files of a base lie, whether they are still what was registered, and what happens when they are not."""

import os
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from projects import leases, slots
from projects.domain import formatting
from projects.domain.errors import Refused
from projects.domain.permissions import Role
from projects.domain.states import JobState
from projects.models import Host
from projects.turns import Room
from tests.factories import training as factory
from tests.factories.projects import make_member, make_project, run_jobs
from training import looking, selectors, services
from training.domain import copies
from training.domain.copies import CopyState, Seen
from training.models import BaseCheck, BaseCopy

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_children")]


def shard(base):
    return next(base.folder.glob("*.safetensors"))


def verified_a_minute_ago(base):
    """Times of files are some milliseconds coarse, and what was touched right after it was read counts as read."""
    BaseCopy.objects.filter(base=base).update(verified_at=timezone.now() - timedelta(minutes=1))


def flip(path, *, quietly=False):
    """One bit; quietly: with the times that it had, which only a reader of all bytes can see through."""
    before, raw = path.stat(), bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    if quietly:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def check(base, **fields):
    made = services.check_base(base, by=base.registered_by, **fields)
    run_jobs()
    made.refresh_from_db()
    return made


def test_a_registered_base_is_whole_on_the_host_that_hashed_it():
    base = factory.make_base()
    (copy,) = base.copies.all()
    assert (copy.host, copy.state, copy.wrong) == (slots.host_name(), CopyState.WHOLE, [])
    assert copy.verified_at == copy.looked_at


@pytest.mark.parametrize(
    ("spoil", "state", "named"),
    [
        (lambda base: shard(base).write_bytes(shard(base).read_bytes()[:-4]), CopyState.CHANGED, "model.safetensors"),
        (lambda base: shard(base).unlink(), CopyState.MISSING, "model.safetensors"),
        (lambda base: base.folder.rename(base.folder.with_name("away")), CopyState.MISSING, "The folder"),
        (lambda base: (base.folder / "tokenizer.json").write_text("{}"), CopyState.CHANGED, "tokenizer files"),
        (lambda base: (base.folder / "config.json").write_text("no"), CopyState.CHANGED, None),
        (
            lambda base: (base.folder / "model-2.safetensors").write_bytes(b"more"),
            CopyState.CHANGED,
            "model-2.safetensors (new)",
        ),
    ],
)
def test_a_look_names_the_file_that_has_changed_and_nothing_new_begins_on_the_base(spoil, state, named, client):
    run = factory.make_draft()
    base = run.base
    spoil(base)

    copy = looking.look(base)

    assert copy.state == state
    assert named is None or copy.wrong == [named]
    with pytest.raises(Refused) as refused:
        services.start_run(run, by=run.created_by)
    assert refused.value.code == ("base_missing" if state == CopyState.MISSING else "base_changed")
    client.force_login(run.created_by)
    for address in (base.get_absolute_url(), reverse("base-list", args=[base.project.slug])):
        assert copies.WORDS[state] in client.get(address).content.decode()
    assert copy.advice in [need.text.partition(": ")[2] for need in selectors.needs(base.project, run.created_by)]


def test_a_file_that_was_touched_counts_as_unread_until_somebody_reads_it():
    base = factory.make_base()
    verified_a_minute_ago(base)
    flip(shard(base))
    assert looking.look(base).state == CopyState.UNREAD
    done = check(base)
    assert done.state == JobState.SUCCEEDED, done.error_message
    copy = base.copies.get()
    assert (copy.state, copy.wrong) == (CopyState.CHANGED, ["model.safetensors"])
    flip(shard(base))  # the old bytes are back
    check(base)
    copy.refresh_from_db()
    assert (copy.state, copy.wrong) == (CopyState.WHOLE, [])
    assert selectors.needs(base.project, base.registered_by) == []


def test_a_run_that_finds_a_changed_shard_marks_the_copy(settings):
    run = factory.make_draft()
    flip(shard(run.base))
    services.start_run(run, by=run.created_by)  # nobody has looked yet
    run_jobs()
    run.refresh_from_db()
    assert run.error_code == "base_changed"
    assert run.base.copies.get().state == CopyState.CHANGED


def test_work_that_has_read_all_bytes_verifies_the_copy():
    base = factory.make_base()
    verified_a_minute_ago(base)
    os.utime(shard(base))
    assert looking.look(base).state == CopyState.UNREAD
    looking.look(base, read=True)
    assert base.copies.get().state == CopyState.WHOLE


def test_a_worker_looks_at_what_it_has_not_looked_at_for_a_while(settings):
    base = factory.make_base()
    assert looking.look_around() == 0  # just looked at
    BaseCopy.objects.update(looked_at=timezone.now() - timedelta(hours=1))
    shard(base).unlink()
    assert looking.look_around() == 1
    assert base.copies.get().state == CopyState.MISSING
    settings.WORKER_HOST, settings.MODELS_DIR = "another", settings.MODELS_DIR / "elsewhere"
    assert looking.look_around() == 0  # the other host never had it: nothing to tell


def test_one_host_with_good_files_is_enough_and_each_is_told(client, settings):
    base = factory.make_base()
    now = timezone.now()
    bad = BaseCopy.objects.create(base=base, host="gpu-1", state="changed", wrong=["model.safetensors"], looked_at=now)
    Host.objects.create(name="gpu-1", beat_at=now - timedelta(days=3))
    selectors.refuse_unusable(base)
    client.force_login(make_member(base.project, Role.VIEWER))
    shown = client.get(base.get_absolute_url()).content.decode()
    assert "gpu-1" in shown and "last heard of" in shown and bad.advice in shown
    assert "no worker there has announced itself" in shown  # the host of this test
    assert "Check files on" not in shown


def test_a_check_is_done_by_the_host_that_it_is_for():
    base = factory.make_base()
    Host.objects.create(name="gpu-1", beat_at=timezone.now())
    made = services.check_base(base, by=base.registered_by, host="gpu-1")
    here, there = (Room(name, ["cpu:0"], 1) for name in ("gpu-2", "gpu-1"))
    assert leases.claim([BaseCheck], owner="gpu-2/cpu/1", host=here) is None
    assert leases.claim([BaseCheck], owner="gpu-1/cpu/1", host=there) == made


def test_checking_over_the_api_and_who_may():
    base = factory.make_base()
    address = f"/api/v1/projects/{base.project.slug}/bases/{base.pk}/"
    api = APIClient()
    for person, code in [(make_member(base.project, Role.VIEWER), 403), (make_member(make_project()), 404)]:
        api.force_authenticate(person)
        assert api.post(f"{address}check/").status_code == code
    api.force_authenticate(base.registered_by)
    assert api.post(f"{address}check/", {"host": "nowhere"}, format="json").json()["code"] == "no_such_host"
    answer = api.post(f"{address}check/", {"host": slots.host_name()}, format="json")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert api.post(f"{address}check/", {"host": slots.host_name()}, format="json").json()["code"] == "already_checking"
    run_jobs()
    (told,) = api.get(f"{address}copies/").json()
    assert (told["host"], told["state"], told["wrong"], told["advice"]) == (slots.host_name(), "whole", [], "")


def test_the_page_polls_while_files_are_checked(client):
    base = factory.make_base()
    client.force_login(base.registered_by)
    client.post(reverse("base-check", args=[base.project.slug, base.pk]), {"host": slots.host_name()})
    fragment = reverse("base-copies", args=[base.project.slug, base.pk])
    assert 'hx-trigger="every 2s"' in client.get(fragment).content.decode()
    run_jobs()
    assert 'hx-trigger="every 2s"' not in client.get(fragment).content.decode()


def test_an_adapter_whose_base_is_gone_says_so_and_everything_still_opens(client):
    adapter = factory.make_adapter()
    factory.drop_model_folder(adapter.base.path)
    looking.look(adapter.base)
    client.force_login(adapter.run.created_by)
    for address in (adapter.get_absolute_url(), adapter.base.get_absolute_url(), adapter.run.get_absolute_url()):
        answer = client.get(address)
        assert answer.status_code == 200
    shown = client.get(adapter.get_absolute_url()).content.decode()
    assert "The files of its base cannot be used" in shown and "The folder is not there" in shown


def test_a_thousand_shards_are_paged(client):
    base = factory.make_base()
    base.parts = base.parts | {"weights": {f"model-{n:05}.safetensors": "0" * 64 for n in range(1000)}}
    base.save()
    client.force_login(base.registered_by)
    page = client.get(base.get_absolute_url() + "?shards=40").content.decode()
    assert "model-00999.safetensors" in page and "model-00000.safetensors" not in page
    assert f"of {formatting.number(1000)}" in page


def test_states_are_judged_the_worst_first():
    assert copies.judge(Seen(missing=["a"], changed=["b"]), 9.0) == (CopyState.MISSING, ["a", "b"])
    assert copies.judge(Seen(changed=["b"]), 9.0) == (CopyState.CHANGED, ["b"])
    assert copies.judge(Seen(untold=10.0), 9.0) == (CopyState.UNREAD, [])
    assert copies.judge(Seen(untold=8.0), 9.0) == (CopyState.WHOLE, [])
