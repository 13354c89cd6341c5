"""Files of a base are read again when they were touched, and only then."""

import json
import os

import pytest

from training.engine import hashing


@pytest.fixture
def reading(monkeypatch):
    """Which files were really read."""
    read, plain = [], hashing.sha256_file

    def noted(path, tell=lambda _: None):
        read.append(path.name)
        return plain(path, tell)

    monkeypatch.setattr(hashing, "sha256_file", noted)
    return read


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    for name in ("model-1.safetensors", "model-2.safetensors"):
        (folder / name).write_bytes(name.encode() * 50)
    (folder / "config.json").write_text("{}")
    return folder


def changed(base, expected, memory):
    return hashing.differences(base, expected, full=False, memory=memory)


def test_weights_are_read_once_and_again_when_touched(base, tmp_path, reading):
    expected, memory = hashing.base_parts(base), tmp_path / "kept" / "verified.json"
    reading.clear()
    assert changed(base, expected, memory) == []
    assert {"model-1.safetensors", "model-2.safetensors"} <= set(reading)

    reading.clear()
    assert changed(base, expected, memory) == []
    assert not [name for name in reading if name.startswith("model-")]

    shard = base / "model-2.safetensors"
    raw = bytearray(shard.read_bytes())
    raw[7] ^= 1  # of the same size
    shard.write_bytes(raw)
    reading.clear()
    assert changed(base, expected, memory) == ["weights model-2.safetensors"]
    assert [name for name in reading if name.startswith("model-")] == ["model-2.safetensors"]


def test_a_file_with_its_old_time_put_back_is_read_again(base, tmp_path):
    expected, memory = hashing.base_parts(base), tmp_path / "verified.json"
    assert changed(base, expected, memory) == []
    shard = base / "model-1.safetensors"
    times = shard.stat()
    shard.write_bytes(b"x" * times.st_size)
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert changed(base, expected, memory) == ["weights model-1.safetensors"]


@pytest.mark.parametrize("kept", [b"", b"[1, 2]", b"{", b'{"/x": 3}', b"\xff"])
def test_a_memory_that_cannot_be_read_is_made_anew(base, tmp_path, kept):
    expected, memory = hashing.base_parts(base), tmp_path / "verified.json"
    memory.write_bytes(kept)
    assert changed(base, expected, memory) == []
    assert len(json.loads(memory.read_text())) >= 2


def test_without_room_nothing_is_remembered_and_all_is_read(base, tmp_path, reading):
    expected, memory = hashing.base_parts(base), base / "config.json" / "verified.json"  # no folder can be made there
    assert changed(base, expected, memory) == []
    assert "model-1.safetensors" in reading


def test_the_full_check_believes_nothing_that_was_remembered(base, tmp_path):
    expected, memory = hashing.base_parts(base), tmp_path / "verified.json"
    assert changed(base, expected, memory) == []
    lies = json.loads(memory.read_text())
    wrong = expected | {"weights": expected["weights"] | {"model-1.safetensors": "0" * 64}}
    memory.write_text(json.dumps({name: [*stamp[:-1], "0" * 64] for name, stamp in lies.items()}))
    assert hashing.differences(base, wrong, full=True, memory=memory) == ["weights model-1.safetensors"]
