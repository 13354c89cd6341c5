"""A rehearsal without torch: obeys the protocol. `python -m tests.fake_rehearsal ok|misfit|slow SPEC`."""

import json
import signal
import sys
import time
from pathlib import Path

from tests.fake_engine import say
from training.domain import rehearsal
from training.domain.spec import RunSpec


def main() -> None:
    behaviour, asked = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    spec = RunSpec.read(asked["run"])
    say("pace", path="library", attention="sdpa", rows=8, accumulation=1, recompute=False, reasons=[])
    say("started", device="cpu", device_name="fake", total=asked["steps"])
    say("progress", phase="training", done=3, total=asked["steps"])
    if behaviour == "slow":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        time.sleep(60)
    if behaviour == "misfit":
        found = {"row": asked["rows"][0], "tokens": 60, "rows": spec.recipe.batch_size, "fits_rows": 2}
        found |= {"fits_tokens": 32}
        say("misfit", **found, limit=10**9)
        say("failed", code="will_not_fit", message=rehearsal.misfit(**found, limit="1 GB"), detail="")
        sys.exit(1)
    say(
        "result",
        points=[[1, 160, 3200, 0.02, 10], [1, 240, 4800, 0.03, 18]],
        measured_steps=asked["steps"],
        widest=[8, 60],
        saves=1,
        save_seconds=0.1,
        save_bytes=3000,
        peak_disk=3000,
        stages={"starting": 0.1, "preparing": 0.1, "loading": 0.5, "training": 1.0, "saving": 0.1},
        memory_bytes=9 * 10**7,
        capacity=16 * 10**9,
        limit=16 * 10**9,
        adapter_bytes=2000,
        epoch_tokens=1000,
        longest={"row": asked["rows"][0], "tokens": 60},
        device="cpu",
        device_name="fake",
    )


if __name__ == "__main__":
    main()
