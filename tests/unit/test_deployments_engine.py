"""The release engine alone: copy, verify, switch, and what it refuses."""

import json
import subprocess
import sys
import threading

import pytest

from deployments.engine import release


def adapter(folder, weights=b"weights"):
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(weights)
    (folder / "adapter_config.json").write_text("{}")
    return {p.name: {"sha256": release.sha256_of(p), "size": p.stat().st_size} for p in folder.iterdir()}


def make_order(tmp_path, name="r1", turn=(1, 1), weights=b"weights"):
    source = tmp_path / "artefacts" / name
    files = adapter(source, weights)
    return release.Order(source, files, tmp_path / "slot", name, turn, {"adapter": name})


def carry_out(order):
    copied = release.ensure(order, lambda done, total: None)
    release.switch(order)
    return copied


def test_a_release_holds_the_bytes_and_is_current(tmp_path):
    order = make_order(tmp_path)
    assert carry_out(order) is True
    current = tmp_path / "slot" / "current"
    assert current.is_symlink()
    assert (current / "adapter_model.safetensors").read_bytes() == b"weights"
    assert json.loads((current / release.RECORD).read_text()) == {"adapter": "r1"}
    assert sorted(p.name for p in (tmp_path / "slot" / "releases").iterdir()) == ["r1"]


def test_an_intact_release_is_used_again_without_its_source(tmp_path):
    order = make_order(tmp_path)
    carry_out(order)
    again = release.Order(None, order.files, order.slot_dir, order.release, (2, 1), order.record)
    assert carry_out(again) is False


def test_a_flipped_bit_is_refused_and_nothing_is_left(tmp_path):
    order = make_order(tmp_path)
    weights = order.source / "adapter_model.safetensors"
    weights.write_bytes(bytes([weights.read_bytes()[0] ^ 1]) + weights.read_bytes()[1:])
    with pytest.raises(release.Broken, match=r"adapter_model\.safetensors has another SHA-256") as broken:
        release.ensure(order, lambda done, total: None)
    assert broken.value.code == "hash_mismatch"
    assert list((tmp_path / "slot" / "releases").iterdir()) == []
    assert not (tmp_path / "slot" / "current").exists()


def test_a_damaged_release_is_made_again_from_the_source(tmp_path):
    order = make_order(tmp_path)
    carry_out(order)
    (order.folder / "adapter_model.safetensors").write_bytes(b"rotten")
    assert carry_out(order) is True
    assert release.faults(order.folder, order.files) == []


def test_a_damaged_release_without_source_is_refused(tmp_path):
    order = make_order(tmp_path)
    carry_out(order)
    (order.folder / "adapter_config.json").unlink()
    orphan = release.Order(None, order.files, order.slot_dir, order.release, (2, 1), order.record)
    with pytest.raises(release.Broken) as broken:
        release.ensure(orphan, lambda done, total: None)
    assert broken.value.code == "source_missing"


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, name):
    order = make_order(tmp_path)
    evil = release.Order(order.source, {name: {"sha256": "00"}}, order.slot_dir, "r1", (1, 1), {})
    with pytest.raises(release.Broken) as broken:
        release.ensure(evil, lambda done, total: None)
    assert broken.value.code == "unsafe_path"
    assert not (tmp_path / "outside").exists()


def test_a_zombie_cannot_switch_back(tmp_path):
    old, new = make_order(tmp_path, "r1", (1, 1)), make_order(tmp_path, "r2", (2, 1), b"better")
    release.ensure(old, lambda done, total: None)
    carry_out(new)
    with pytest.raises(release.Broken) as broken:
        release.switch(old)
    assert broken.value.code == "superseded"
    assert (tmp_path / "slot" / "current").readlink().name == "r2"


def test_the_same_turn_may_be_repeated_after_a_crash(tmp_path):
    order = make_order(tmp_path)
    carry_out(order)
    release.switch(order)
    assert (tmp_path / "slot" / "current").readlink().name == "r1"


def test_readers_always_find_a_whole_adapter_while_releases_switch(tmp_path):
    orders = [make_order(tmp_path, f"r{i}", (i, 1), f"weights {i}".encode() * 1000) for i in range(1, 30)]
    carry_out(orders[0])
    torn, done = [], threading.Event()

    def read():
        while not done.is_set():
            weights = (tmp_path / "slot" / "current" / "adapter_model.safetensors").read_bytes()
            if len(set(weights.split(b"weights ")[1:])) != 1:
                torn.append(weights[:40])

    reader = threading.Thread(target=read)
    reader.start()
    for order in orders[1:]:
        carry_out(order)
    done.set()
    reader.join()
    assert torn == []


def run(tmp_path, order):
    spec = tmp_path / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "source": str(order.source),
                "files": order.files,
                "slot_dir": str(order.slot_dir),
                "release": order.release,
                "turn": order.turn,
                "record": order.record,
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "deployments.engine", str(spec)], capture_output=True, text=True, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_child_reports_its_work_as_json_lines(tmp_path):
    code, events = run(tmp_path, make_order(tmp_path))
    assert code == 0
    assert [event["event"] for event in events] == ["started", "progress", "progress", "result"]
    assert events[-1]["release"] == "r1"


def test_the_child_reports_a_refusal_as_an_event(tmp_path):
    order = make_order(tmp_path)
    (order.source / "adapter_config.json").write_text("[]")
    code, events = run(tmp_path, order)
    assert code == 1
    assert (events[-1]["event"], events[-1]["code"]) == ("failed", "hash_mismatch")
