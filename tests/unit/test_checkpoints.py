"""Checkpoints under faults: whatever fails, the ones before stay; whatever was touched, it is not loaded."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from training.domain.spec import digest
from training.engine import checkpoints, disk, manifest
from training.engine.checkpoints import MANIFEST, Checkpoints
from training.engine.events import EngineError
from training.engine.hashing import sha256_file
from training.engine.manifest import Origin
from training.engine.stopping import MARGIN_SECONDS, StopTime

NAME = "adapter_model.safetensors"
ORIGIN = Origin("spec", "base", "data", "code", {"torch": "1"})


def source(store: Checkpoints, step: int, size: int = 4000) -> Path:
    folder = store.staging / f"checkpoint-{step}"
    (folder / "ref").mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(bytes([step % 256]) * size)
    (folder / "ref" / "adapter_model.safetensors").write_bytes(b"ref" * 100)
    (folder / "optimizer.pt").write_bytes(b"state" * 500 + bytes([step % 256]))
    return folder


@pytest.fixture
def store(tmp_path):
    return Checkpoints(tmp_path, ORIGIN)


@pytest.fixture
def two(store):
    for step in (10, 20):
        store.commit(source(store, step), step)
    return store


# What a manifest says


def test_a_manifest_names_what_the_checkpoint_stems_from(two, tmp_path):
    raw = json.loads((tmp_path / "ckpt-20" / MANIFEST).read_text())
    assert (raw["spec"], raw["base"], raw["data"], raw["code"]) == ("spec", "base", "data", "code")
    assert raw["packages"] == {"torch": "1"} and len(raw["packages_digest"]) == 64
    assert set(raw["files"]) == {"adapter_model.safetensors", "ref/adapter_model.safetensors", "optimizer.pt"}


@pytest.mark.parametrize("part", ["spec", "base", "data"])
def test_a_checkpoint_of_another_run_base_or_dataset_is_refused(two, tmp_path, part):
    other = Origin(**({"spec": "spec", "base": "base", "data": "data"} | {part: "other"}))
    store = Checkpoints(tmp_path, other)
    assert store.newest() is None
    assert store.refused == {step: f"it belongs to another {part}" for step in (10, 20)}


def test_other_programs_are_told_and_do_not_refuse(two, tmp_path):
    later = Origin("spec", "base", "data", "code", {"torch": "2", "peft": "1"})
    assert Checkpoints(tmp_path, later).newest().step == 20
    assert manifest.otherwise(tmp_path / "ckpt-20", later) == "peft missing → 1, torch 1 → 2"
    assert manifest.otherwise(tmp_path / "ckpt-20", Origin("spec", code="new", packages={"torch": "1"})) == (
        "another version of the engine"
    )
    assert manifest.otherwise(tmp_path / "ckpt-20", ORIGIN) == ""


def test_the_digest_of_the_code_follows_the_code(monkeypatch, tmp_path):
    before = manifest.code_digest()
    assert before == manifest.code_digest() and len(before) == 64
    monkeypatch.setattr(manifest, "SOURCES", (tmp_path,))
    (tmp_path / "a.py").write_text("1")
    first = manifest.code_digest()
    (tmp_path / "a.py").write_text("2")
    assert manifest.code_digest() != first


def edit(place: Path, *, sign: bool, **changes) -> None:
    path = place / MANIFEST
    raw = json.loads(path.read_text())
    raw.pop("digest")
    raw |= changes
    path.write_text(json.dumps(raw | {"digest": digest(raw) if sign else "0" * 64}))


def test_an_edited_manifest_is_found_by_its_own_digest_or_by_the_database(two, tmp_path):
    known = {20: sha256_file(tmp_path / "ckpt-20" / MANIFEST)}
    edit(tmp_path / "ckpt-20", sign=False, code="x")
    assert two.problem(tmp_path / "ckpt-20", 20) == "its manifest is missing or damaged"
    assert Checkpoints(tmp_path, ORIGIN).newest().step == 10
    edit(tmp_path / "ckpt-20", sign=True, code="x")
    assert Checkpoints(tmp_path, ORIGIN).newest().step == 20, "whole in itself, and nobody knows better"
    store = Checkpoints(tmp_path, ORIGIN, known=known)
    assert store.newest().step == 10
    assert store.refused == {20: "its manifest is not the one that was saved"}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda place: (place / "x.bin").write_bytes(b"x"), "x.bin does not belong to it"),
        (
            lambda place: (place / "ref" / "adapter_model.safetensors").unlink(),
            "ref/adapter_model.safetensors is missing",
        ),
        (lambda place: (place / "optimizer.pt").write_bytes(b""), "optimizer.pt has another size"),
        (
            lambda place: shutil.copy(place.parent / "ckpt-10" / "optimizer.pt", place),
            "optimizer.pt has another checksum",
        ),
        (lambda place: edit(place, sign=True, step=21), "it belongs to step 21"),
        (lambda place: edit(place, sign=True, version=1), "its manifest is missing or damaged"),
        (lambda place: edit(place, sign=True, files=[]), "its manifest is missing or damaged"),
    ],
)
def test_damage_is_named(two, tmp_path, damage, problem):
    damage(tmp_path / "ckpt-20")
    store = Checkpoints(tmp_path, ORIGIN)
    assert store.newest() == (tmp_path / "ckpt-10", 10)
    assert store.refused == {20: problem}


def test_a_link_is_no_file_of_a_checkpoint(two, tmp_path):
    path = tmp_path / "ckpt-20" / "optimizer.pt"
    aside = tmp_path / "elsewhere"
    path.rename(aside)
    path.symlink_to(aside)
    assert two.problem(tmp_path / "ckpt-20", 20) == "optimizer.pt is not a plain file"


def test_a_disk_that_does_not_read_makes_a_checkpoint_unusable_not_the_run(two, tmp_path, monkeypatch):
    def unreadable(path, *_):
        if path.name == "optimizer.pt" and path.parent.name == "ckpt-20":
            raise OSError(errno.EIO, "Input/output error")
        return sha256_file(path)

    monkeypatch.setattr(manifest, "sha256_file", unreadable)
    assert two.newest().step == 10
    assert two.refused == {20: "it cannot be read: Input/output error"}


def test_a_glance_sees_sizes_and_the_manifest_only(two, tmp_path):
    place = tmp_path / "ckpt-20"
    known = sha256_file(place / MANIFEST)
    assert manifest.glance(place, known) is None
    assert manifest.glance(place, "0" * 64) == "its manifest is missing or damaged"
    data = bytearray((place / "optimizer.pt").read_bytes())
    data[0] ^= 1
    (place / "optimizer.pt").write_bytes(data)
    assert manifest.glance(place, known) is None, "bytes are for the engine to read"
    (place / "optimizer.pt").unlink()
    assert manifest.glance(place, known) == "optimizer.pt is missing"
    assert manifest.glance(tmp_path / "ckpt-30", known) == "it is not there any more"


# Whatever step of a save fails


class Failing:
    """The nth call of something raises what a bad disk raises."""

    def __init__(self, real, number: int, at: int = 1) -> None:
        self.real, self.number, self.left = real, number, at

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise OSError(self.number, os.strerror(self.number))
        return self.real(*args, **kwargs)

    def __get__(self, owner, kind=None):
        return lambda *args, **kwargs: self(owner, *args, **kwargs)


STEPS = {
    "writing the manifest": (Path, "write_text", 1),
    "hashing a file": (manifest, "sha256_file", 2),
    "flushing a file": (os, "fsync", 1),
    "flushing an inner folder": (os, "fsync", 5),
    "flushing the checkpoint": (os, "fsync", 6),
    "renaming it into its place": (Path, "rename", 1),
    "flushing the folder of checkpoints": (os, "fsync", 7),
    "reading it back": (manifest, "sha256_file", 5),
}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG], ids=errno.errorcode.get)
@pytest.mark.parametrize("step", STEPS)
def test_whatever_step_fails_the_old_ones_stay_and_the_next_save_works(two, tmp_path, monkeypatch, step, number):
    where, name, at = STEPS[step]
    folder = source(two, 30)
    with monkeypatch.context() as patch:
        patch.setattr(where, name, Failing(getattr(where, name), number, at))
        with pytest.raises(OSError, match=r".") as trouble:
            two.commit(folder, 30)
    two.sweep()

    assert disk.trouble(trouble.value, tmp_path)[0] in {"disk_full", "disk_error"}
    assert {found.step for found in two.candidates() if two.problem(found.place, found.step) is None} >= {10, 20}
    assert not list(tmp_path.glob(".staging-*/*")) and not list(tmp_path.glob(".aside-*"))

    two.commit(source(two, 40), 40)
    assert two.newest().step == 40


def test_a_disk_that_takes_bytes_and_does_not_keep_them_is_found_before_the_old_ones_go(two, tmp_path, monkeypatch):
    rename = Path.rename

    def rot(self, target):
        rename(self, target)
        if target.name == "ckpt-30":
            (target / "optimizer.pt").write_bytes(b"rot")

    monkeypatch.setattr(Path, "rename", rot)
    with pytest.raises(OSError, match=r"does not verify: optimizer\.pt has another size"):
        two.commit(source(two, 30), 30)
    assert two.steps() == [10, 20]


def test_the_same_step_again_takes_the_place_of_the_old_one(two, tmp_path):
    two.commit(source(two, 20, size=5000), 20)
    assert (tmp_path / "ckpt-20" / "adapter_model.safetensors").stat().st_size == 5000
    assert two.steps() == [10, 20] and not list(tmp_path.glob(".aside-*"))


def test_killed_between_two_renames_the_old_one_comes_back(two, tmp_path):
    (tmp_path / "ckpt-20").rename(tmp_path / ".aside-ckpt-20")
    fresh = Checkpoints(tmp_path, ORIGIN)
    fresh.sweep()
    assert fresh.newest().step == 20
    (tmp_path / ".aside-ckpt-20").mkdir()
    fresh.sweep()
    assert not (tmp_path / ".aside-ckpt-20").exists() and fresh.newest().step == 20


def test_two_whole_ones_are_kept_and_torn_ones_do_not_count(two, tmp_path):
    (tmp_path / "ckpt-20" / "optimizer.pt").unlink()
    store = Checkpoints(tmp_path, ORIGIN)
    assert store.newest().step == 10
    store.commit(source(store, 15), 15)
    assert store.steps() == [10, 15, 20], "what lies beyond is of an attempt that may not have been lost for ever"
    store.commit(source(store, 25), 25)
    assert store.steps() == [15, 25]


def test_names_that_only_look_like_checkpoints_are_none(two, tmp_path):
    for name in ("ckpt-030", "ckpt-30x", "ckpt--1", "xckpt-30"):
        shutil.copytree(tmp_path / "ckpt-20", tmp_path / name)
    assert two.steps() == [10, 20]


# Where an attempt begins


def test_an_attempt_begins_at_the_newest_whole_one_or_where_a_person_says(two):
    assert two.begin(None).step == 20
    assert two.begin(10).step == 10
    assert two.steps() == [10], "the course beyond was given up"
    assert two.begin(0) is None
    assert two.steps() == []


def test_a_chosen_one_that_is_damaged_or_gone_is_refused_and_nothing_is_removed(two, tmp_path):
    (tmp_path / "ckpt-10" / "optimizer.pt").unlink()
    for step, why in ((10, "optimizer.pt is missing"), (15, "it is not there any more")):
        with pytest.raises(EngineError, match=why) as refused:
            two.begin(step)
        assert refused.value.code == "no_checkpoint"
    assert two.steps() == [10, 20]


def test_an_attempt_that_was_given_up_for_dead_commits_nothing(tmp_path):
    old, new = (Checkpoints(tmp_path, ORIGIN, fence=fence) for fence in (3, 4))
    old.take_over()
    old.commit(source(old, 10), 10)
    new.take_over()
    with pytest.raises(EngineError) as refused:
        old.commit(source(old, 20), 20)
    assert refused.value.code == "superseded"
    assert new.steps() == [10]
    new.commit(source(new, 20), 20)
    with pytest.raises(EngineError):
        old.take_over()


def test_room_is_asked_for_before_a_save(store, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000))
    assert store.room_for_another(expected_bytes=4000) and not store.room_for_another(expected_bytes=4001)
    store.commit(source(store, 10), 10)
    size = checkpoints.size_of(tmp_path / "ckpt-10")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=int(size * 2.5)))
    assert store.room_for_another()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=int(size * 2.5) - 1))
    assert not store.room_for_another()


# Errors of disks


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (OSError(errno.ENOSPC, "x"), "disk_full"),
        (OSError(errno.EDQUOT, "x"), "disk_full"),
        (OSError(errno.EFBIG, "x"), "disk_full"),
        (OSError(errno.EIO, "x"), "disk_error"),
        (OSError(errno.EROFS, "x"), "disk_error"),
        (OSError("nobody knows"), "disk_error"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full"),
        (RuntimeError("I/O error (os error 5)"), "disk_error"),
        (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), "disk_error"),
        (RuntimeError("shapes differ"), None),
    ],
)
def test_a_save_that_failed_for_the_disks_sake_is_told_from_others(tmp_path, problem, code):
    found = disk.trouble(problem, tmp_path)
    assert (found and found[0]) == code


# The time that stopping takes


def test_stopping_takes_the_longest_step_the_longest_save_and_a_margin():
    now = [0.0]
    clock = StopTime(lambda: now[0])
    clock.checkpoint_bytes = 400_000_000
    assert clock.save_seconds == 11, "until one was measured: what a slow disk needs"
    clock.begin()
    for seconds in (2.0, 5.0, 1.0):
        now[0] += seconds
        clock.look()
    with clock.saving():
        now[0] += 4.0
    now[0] += 0.5
    clock.look()
    assert (clock.longest_step, clock.longest_save) == (5.0, 4.0), "a save is no part of a step"
    assert clock.stop_seconds == 5 + 4 + MARGIN_SECONDS


def test_it_is_told_when_it_has_changed_enough():
    now = [0.0]
    clock = StopTime(lambda: now[0])
    first = clock.news()
    assert first == clock.stop_seconds and clock.news() is None
    now[0] += 0.1
    clock.look()
    assert clock.news() is None, "less than a tenth"
    now[0] += 9
    clock.look()
    assert clock.news() == clock.stop_seconds


def test_a_save_that_failed_counts_as_no_save():
    now = [0.0]
    clock = StopTime(lambda: now[0])
    with pytest.raises(OSError, match="full"), clock.saving():
        now[0] += 30
        raise OSError("full")
    assert clock.longest_save == 0


def test_an_attempt_that_was_given_up_for_dead_sweeps_nothing_away(tmp_path):
    """It slept before it began, and wakes while its successor is in the middle of a save."""
    old, new = (Checkpoints(tmp_path, ORIGIN, fence=fence) for fence in (3, 4))
    new.sweep()
    new.take_over()
    half = source(new, 10)

    with pytest.raises(EngineError) as refused:
        old.sweep()

    assert refused.value.code == "superseded"
    new.commit(half, 10)
    assert new.steps() == [10]
