"""Real failures of the real libraries, told with their place: numbers, adapters, memory, and disks that fill up."""

import os
import resource
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from demo import tickets
from training.domain.spec import BaseRef, ParentRef
from training.engine import hashing
from training.engine.hashing import folder_digest

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def spoil(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    weights[sorted(weights)[0]][:] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize("pace", ["library", "fast"])
def test_a_loss_that_is_no_number_names_its_step_and_rows(engine, routing, tmp_path, pace):
    base = tmp_path / "spoilt"
    shutil.copytree(engine.base, base)
    spoil(base / "model.safetensors")
    spec = engine.spec(routing[0][:16], epochs=1, pace=pace)
    spec = replace(spec, base=BaseRef("spoilt", "f" * 64, hashing.base_parts(base), path=str(base)))

    told = engine.run(spec)

    assert told.returncode == 1
    failed = told.one("failed")
    assert failed["code"] == "nan_loss" and "At step 1" in failed["message"]
    assert failed["where"]["step"] == 1
    assert len(failed["where"]["rows"]) == 8 and set(failed["where"]["rows"]) <= set(range(16))
    assert failed["where"]["longest_tokens"] > 10


def stored(label: str, folder: str) -> ParentRef:
    return ParentRef(label, folder_digest(Path(folder)), folder)


def test_an_adapter_that_does_not_fit_is_refused(engine, routing):
    parent = engine.spec(routing[0][:8], "parent", epochs=1, rank=4, alpha=8)
    assert engine.run(parent).returncode == 0
    config = Path(parent.output_dir) / "adapter_config.json"
    config.write_text(config.read_text().replace('"r": 4', '"r": 8'))
    spec = engine.spec(routing[0][:8], "child", epochs=1, rank=8, alpha=8)

    told = engine.run(replace(spec, parent=stored("parent", parent.output_dir)))

    assert told.returncode == 1
    assert told.one("failed")["code"] == "parent_mismatch"


def test_an_adapter_is_trained_further_and_ends_elsewhere(engine, routing):
    first = engine.spec(routing[0][:64], "first", epochs=2, rank=8, alpha=16)
    before = engine.run(first)
    spec = engine.spec(routing[0][64:128], "second", epochs=1, rank=8, alpha=16)

    after = engine.run(replace(spec, parent=stored("first", first.output_dir)))

    assert after.returncode == 0
    assert after.weights != before.weights
    assert after.losses[1] < before.losses[1] / 2, "it begins with what its parent knows"
    assert "Parent adapter" in (Path(spec.output_dir) / "README.md").read_text()


def limit(pid: int, what: int, most: int) -> None:
    """Bound a running process; the hard limit stays, so that it can be let go again."""
    _, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most, hard))


def address_space(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmSize:")[1].split()[0]) * 1024


def test_memory_that_runs_out_names_the_longest_row(engine, routing):
    rows = [dict(row) for row in routing[0][:64]]
    rows[40] = {"messages": [tickets.message("user", "word " * 150), tickets.message("assistant", "billing")]}
    spec = engine.spec(rows, epochs=1, batch_size=64, max_length=512)

    def take_the_rest(event, pid):
        if event["event"] == "started":
            limit(pid, resource.RLIMIT_AS, address_space(pid) + 32 * 1024**2)

    told = engine.follow(spec, take_the_rest)

    failed = told.one("failed")
    assert (told.returncode, failed["code"]) == (1, "oom"), failed
    assert failed["where"]["longest_row"] == 40
    assert "row 40 with" in failed["message"] and "64 rows were in memory" in failed["message"]
    assert failed["detail"].startswith("Traceback") and "site-packages" not in failed["detail"]


# Disks


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes, for those who may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_keeps_the_old_checkpoint_and_the_run_goes_on(engine, routing, small_disk):
    spec = engine.spec(routing[0][:80], epochs=1, checkpoint_steps=2, rank=8, alpha=16)
    filler = small_disk / "filler"

    def fill_and_free(event, pid):
        if event["event"] == "checkpoint" and event["step"] == 2:
            free = shutil.disk_usage(small_disk).free
            filler.write_bytes(bytes(free - 4096))
        if event["event"] == "warning":
            assert (small_disk / "ckpt" / "ckpt-2" / "MANIFEST.json").exists()
            filler.unlink(missing_ok=True)

    told = engine.follow(replace(spec, checkpoint_dir=str(small_disk / "ckpt")), fill_and_free)

    assert told.returncode == 0, told
    assert [event["code"] for event in told.of("warning")] == ["disk_full"]
    saved = [event["step"] for event in told.of("checkpoint")]
    assert saved[0] == 2 and 4 not in saved[:2] and saved[-1] == 8, saved
    assert sorted(path.name for path in (small_disk / "ckpt").glob("*")) == ["ckpt-6", "ckpt-8"]


def test_a_write_that_breaks_off_in_the_middle_leaves_nothing_behind(engine, routing):
    """The limit of a file's size strikes inside the libraries, as a disk does that fills up while they write."""
    spec = engine.spec(routing[0][:80], epochs=1, checkpoint_steps=2, rank=8, alpha=16)
    folder = Path(spec.checkpoint_dir)

    def tighten_and_loosen(event, pid):
        if event["event"] == "checkpoint" and event["step"] == 2:
            limit(pid, resource.RLIMIT_FSIZE, 64 * 1024)
        if event["event"] == "warning":
            assert [path.name for path in folder.iterdir() if path.name.startswith("ckpt-")] == ["ckpt-2"]
            limit(pid, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)

    told = engine.follow(spec, tighten_and_loosen)

    assert told.returncode == 0, told
    assert told.of("warning")[0]["code"] in {"disk_full", "disk_error"}
    assert told.of("checkpoint")[-1]["step"] == 8
    assert not list(folder.glob(".*")), "no half-written checkpoint is left"
