"""What the engine measures of itself: stages, steps with what was in them, saves, peaks, limits."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from training.engine import memory
from training.engine.stages import Stages, process_age


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_stages_are_the_whole_together():
    clock = Clock()
    stages = Stages(clock, started_before=2.5)
    for name, seconds in (("preparing", 1.0), ("loading", 4.0), ("training", 10.0)):
        stages.enter(name)
        clock.now += seconds
    assert stages.close() == {"starting": 2.5, "preparing": 1.0, "loading": 4.0, "training": 10.0}
    clock.now += 1
    assert sum(stages.close().values()) == 18.5


def test_a_process_knows_its_age():
    assert 0 < process_age() < 10 * 24 * 3600


def test_memory_is_read_off_the_kernel():
    assert memory.peak("cpu") > 10 * 2**20
    assert memory.capacity("cpu") > memory.peak("cpu")


def test_allocations_beyond_a_held_limit_fail():
    program = (
        "from training.engine import memory\n"
        "limit = memory.hold('cpu', 300 * 2**20)\n"
        "ok = bytearray(100 * 2**20)\n"
        "try:\n    bytearray(400 * 2**20)\nexcept MemoryError:\n    print('held', limit)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["held", str(300 * 2**20)]


def test_a_new_peak_can_be_measured_after_a_large_one():
    program = (
        "from training.engine import memory\n"
        "large = b'x' * (200 * 2**20)\nfirst = memory.peak('cpu')\ndel large\n"
        "memory.forget_peak('cpu')\nprint(first - memory.peak('cpu'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("this kernel keeps the first peak")
    assert int(done.stdout) > 150 * 2**20


# The meter, on a trainer that only looks like one


class Tensor:
    def __init__(self, *shape: int) -> None:
        self.shape = shape


@pytest.mark.engine
class TestMeter:
    @pytest.fixture
    def meter(self, tmp_path: Path):
        pytest.importorskip("transformers")
        from training.engine.meter import Meter

        clock = Clock()
        meter = Meter(clock=clock)
        trainer = SimpleNamespace(
            training_step=lambda model, inputs, items=None: "loss",
            _save_checkpoint=lambda model, trial: self.save(tmp_path, clock),
            store=SimpleNamespace(folder=tmp_path),
            args=SimpleNamespace(device=SimpleNamespace(type="cpu")),
            add_callback=lambda callback: None,
            progress=SimpleNamespace(samples=None, validation=None),
        )
        meter.attach(trainer)
        meter.on_train_begin(None, None, None)
        return meter, trainer, clock

    def save(self, folder: Path, clock: Clock) -> None:
        steps = sorted(int(path.name[5:]) for path in folder.iterdir())
        new = folder / f"ckpt-{(steps or [0])[-1] + 1}"
        new.mkdir()
        (new / "weights").write_bytes(bytes(1000))
        (folder / ".staging").mkdir(exist_ok=True)
        if len(steps) > 1:
            (folder / f"ckpt-{steps[0]}" / "weights").unlink()
            (folder / f"ckpt-{steps[0]}").rmdir()
        (folder / ".staging").rmdir()
        clock.now += 0.5

    def step(self, meter, trainer, clock, rows: int, length: int, seconds: float) -> None:
        meter.on_step_begin(None, None, None)
        trainer.training_step(None, {"input_ids": Tensor(rows, length)})
        clock.now += seconds
        meter.on_step_end(None, None, None)

    def test_steps_are_told_with_what_was_in_them(self, meter):
        meter, trainer, clock = meter
        for length in (10, 10, 20, 30):
            self.step(meter, trainer, clock, 4, length, length / 100)
        told = meter.told()
        assert told["points"] == [[1, 80, 1600, 0.2, 1], [1, 120, 3600, 0.3, 1]], "the first two are the warm-up"
        assert (told["measured_steps"], told["widest"]) == (4, [4, 30])

    def test_a_save_is_no_part_of_a_step_and_the_fullest_moment_is_kept(self, meter):
        meter, trainer, clock = meter
        for _ in range(5):
            self.step(meter, trainer, clock, 4, 10, 0.1)
            trainer._save_checkpoint(None, None)
        told = meter.told()
        assert {point[3] for point in told["points"]} == {0.1}
        assert (told["saves"], told["save_seconds"], told["save_bytes"]) == (5, 2.5, 1000)
        assert told["peak_disk"] == 3000, "two are kept, and the third is there before the oldest goes"

    def test_samples_and_looks_are_no_part_of_a_step(self, meter):
        meter, trainer, clock = meter
        trainer.progress.samples, trainer.progress.validation = (
            SimpleNamespace(seconds=0.0),
            SimpleNamespace(seconds=0.0),
        )
        for _ in range(5):
            for one in (trainer.progress.samples, trainer.progress.validation):
                one.seconds += 3.0
                clock.now += 3.0
            self.step(meter, trainer, clock, 4, 10, 0.1)
        assert {point[3] for point in meter.told()["points"]} == {0.1}

    def test_a_long_run_keeps_few_points(self, meter):
        meter, trainer, clock = meter
        for number in range(9000):
            self.step(meter, trainer, clock, 1, 1 + number % 7, 0.01)
        told = meter.told()
        assert len(told["points"]) <= 32 and told["measured_steps"] == 9000

    def test_rows_that_lie_end_to_end_see_only_themselves(self):
        torch = pytest.importorskip("torch")
        from training.engine.meter import Batch

        bounds = torch.tensor([0, 3, 7], dtype=torch.int32)
        batch = Batch.of({"input_ids": Tensor(1, 7), "cu_seq_lens_q": bounds})
        assert (batch.padded, int(batch.square)) == (7, 9 + 16)


@pytest.mark.slow
def test_a_rehearsal_ends_after_its_steps_or_its_time():
    pytest.importorskip("transformers")
    from training.domain.rehearsal import FEWEST, SECONDS
    from training.engine.enough import Enough

    clock = Clock()
    enough = Enough(30, clock)
    enough.on_train_begin(None, None, None)

    def ends(step: int) -> bool:
        control = SimpleNamespace(should_save=False, should_training_stop=False)
        enough.on_step_end(None, SimpleNamespace(global_step=step), control)
        return control.should_training_stop and control.should_save

    assert not ends(29) and ends(30)
    clock.now += SECONDS + 1
    assert not ends(FEWEST - 1) and ends(FEWEST)
