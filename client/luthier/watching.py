"""Waiting for work that goes on without us."""

import os
import time

from luthier.errors import DONE, FAILED, TIMED_OUT, Stop
from luthier.output import duration

EVERY = float(os.environ.get("LUTHIER_POLL_SECONDS", "2"))
OVER = {"succeeded": DONE, "failed": FAILED, "cancelled": FAILED}


def patiently(look, timeout, otherwise, every=EVERY):
    """What `look` returns once it is not None; it is asked again and again until the time is over."""
    deadline = time.monotonic() + timeout if timeout else None
    while True:
        found = look()
        if found is not None:
            return found
        if deadline is not None and time.monotonic() > deadline:
            raise Stop(f"Not over after {duration(timeout)}. {otherwise}", TIMED_OUT)
        time.sleep(every)


def watch(server, run, out, timeout=0.0):
    """Follow a run to its end; people see its progress, programs a line of JSON for every change."""
    seen: dict[str, object] = {}

    def look():
        found = server.get(f"runs/{run}/")
        state = (found["state"], found["step"])
        if found["state"] != seen.get("state"):
            out.note(told(found))
        out.progress(f"{told(found)}")
        seen["state"], seen["step"] = state
        return found if found["state"] in OVER else None

    return patiently(look, timeout, f"The run goes on without this command: luthier watch {run}")


def held_out(validation):
    """What the rows say that the run does not learn from."""
    if validation.get("loss") is None:
        return ""
    best = "its best" if validation["step"] == validation["best_step"] else f"best {validation['best']:.4g}"
    at = "" if best == "its best" else f" at step {validation['best_step']:,}"
    return f", validation loss {validation['loss']:.4g} ({best}{at})"


def told(run):
    """A run in a line."""
    text = f"{run['name']} (run {run['id']}): {run['state']}"
    if run["state"] == "running" and run["total_steps"]:
        text += f", step {run['step']:,} of {run['total_steps']:,}"
        text += f", loss {run['last_loss']:.4g}" if run["last_loss"] is not None else ""
    text += held_out(run.get("validation") or {})
    if run["waiting"]:
        text += f" – {run['waiting']['reason']}"
    if run["state"] == "failed":
        text += f" – {run['error_code']}: {run['error_message']}"
    if run["state"] == "succeeded":
        text += f", adapter {run['adapter']}" + (f", cost {run['cost']}" if run["cost"] else "")
    return text
