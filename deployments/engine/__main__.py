"""`python -m deployments.engine SPEC.json`: make a release and switch a slot to it, reporting JSON lines."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

from deployments.engine import release


def say(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def order_from(spec: dict[str, Any]) -> release.Order:
    return release.Order(
        source=Path(spec["source"]) if spec["source"] else None,
        files=spec["files"],
        slot_dir=Path(spec["slot_dir"]),
        release=spec["release"],
        turn=(int(spec["turn"][0]), int(spec["turn"][1])),
        record=spec["record"],
    )


def work(order: release.Order) -> dict[str, Any]:
    say("started", device="cpu", device_name="", total=len(order.files))
    copied = release.ensure(order, lambda done, total: say("progress", phase="copy and verify", done=done, total=total))
    release.switch(order)
    return {
        "release": order.release,
        "copied": copied,
        "files": {n: f["sha256"] for n, f in order.files.items()},
    }


def main(spec_path: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # staging is removed on the way out
    order = order_from(json.loads(Path(spec_path).read_text()))
    try:
        result = work(order)
    except release.Broken as broken:
        say("failed", code=broken.code, message=str(broken), detail={})
        return 1
    except OSError as failed:
        say("failed", code="disk_error", message=f"The slot's folder is not writable: {failed}", detail={})
        return 1
    say("result", **result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
