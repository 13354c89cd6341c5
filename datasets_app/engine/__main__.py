"""python -m datasets_app.engine SPEC.json — reads an upload or follows a recipe, in a process of its own."""

import importlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

# Arrow's own allocators reserve far more address space than they use, which the memory limit would count.
os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
# One thread for each analyser is enough on two cores; those of the linear algebra library only spin.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import orjson

from datasets_app.domain.codes import Code, explain
from datasets_app.engine import events, lean, limits
from datasets_app.engine.refusal import FileRefused


def main(argv: list[str]) -> int:
    spec = orjson.loads(Path(argv[1]).read_bytes())
    bounds = limits.Limits(**spec.get("limits", {}))
    limits.apply(bounds)
    signal.signal(signal.SIGTERM, _stop)
    out = Path(spec["out_dir"])
    shutil.rmtree(out, ignore_errors=True)
    try:
        events.emit("started", device="cpu", device_name="", total=0)
        result = _run(spec, bounds)
    except FileRefused as refused:
        return _failed(out, refused.code, str(refused), {"found": refused.found})
    except SystemExit:
        shutil.rmtree(out, ignore_errors=True)
        raise
    except MemoryError:
        title, advice = explain(Code.MEMORY_LIMIT)
        return _failed(out, Code.MEMORY_LIMIT, f"{title}. {advice}", {})
    events.emit("result", peak_mb=limits.peak_mb(), **result)
    return 0


def _run(spec: dict[str, Any], bounds: limits.Limits) -> dict[str, Any]:
    if spec["task"] == "upload":
        from datasets_app.engine.upload import Upload

        return Upload(spec, bounds).run()
    if spec["task"] == "mend":
        from datasets_app.engine.mend import Mend

        return Mend(spec, bounds).run()
    module, name = TASKS[spec["task"]]
    return getattr(importlib.import_module(f"datasets_app.engine.{module}"), name)(spec)


# Module and function of each task: what is not needed is not loaded.
TASKS = {
    "build": ("build", "build"),
    "preview": ("build", "preview"),
    "diff": ("diff", "compare"),
    "search": ("search", "search"),
    "comparison": ("leaks", "compare"),
}


def _failed(out: Path, code: Code, message: str, detail: dict[str, Any]) -> int:
    """Say why, and leave nothing half-written behind."""
    shutil.rmtree(out, ignore_errors=True)
    events.emit("failed", code=code.value, message=message, detail=detail, peak_mb=limits.peak_mb())
    return 1


def _stop(*_: object) -> None:
    sys.exit(143)


if __name__ == "__main__":
    lean.without_pandas()
    sys.exit(main(sys.argv))
