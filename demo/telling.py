"""What the demo says on the terminal while it works."""

import sys
import time
from collections.abc import Callable
from typing import Any

from projects.domain.states import OVER, JobState

PATIENCE_SECONDS = 600


class DemoFailed(SystemExit):
    """The demo stops where the product did not do what it should."""


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def step(title: str) -> None:
    print(f"\n{title}", flush=True)


def wait_for(job: Any, show: Callable[[Any], str] | None = None) -> Any:
    """Wait until a job of the product's own workers is over, and show how it goes; it must succeed."""
    started, shown = time.monotonic(), ""
    while True:
        job.refresh_from_db()
        text = show(job) if show else progress(job)
        if text != shown and sys.stdout.isatty():
            print(f"\r\033[K  {job}: {text}", end="", flush=True)
            shown = text
        if JobState(job.state) in OVER:
            break
        if time.monotonic() - started > PATIENCE_SECONDS:
            raise DemoFailed(f"{job} was not done within {PATIENCE_SECONDS} s")
        time.sleep(0.25)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if job.state != JobState.SUCCEEDED:
        raise DemoFailed(f"{job} {job.state}: {job.error_code} {job.error_message}\n{job.error_detail}")
    say(f"{job}: done in {time.monotonic() - started:.0f} s")
    return job


def progress(job: Any) -> str:
    done, total = job.progress.get("done"), job.progress.get("total")
    counts = f" {done} of {total}" if done is not None and total else ""
    return f"{job.state} {job.progress.get('phase') or ''}{counts}"
