"""Messages that get lost, come three times, come late or overtake each other: a layer under every sender.

`LUTHIER_CHAOS_MESSAGES="lost=0.1,tripled=0.1,late=0.1"`;
`LUTHIER_CHAOS_LOG` names the file that takes one line for each that met its fate.
"""

import os
import random
import threading
from collections.abc import Callable
from typing import Any

from celery import Celery

RATES, LOG = "LUTHIER_CHAOS_MESSAGES", "LUTHIER_CHAOS_LOG"
FATES = ("lost", "tripled", "late")
LATEST_SECONDS = 2.5


def rates(text: str) -> dict[str, float]:
    """ "lost=0.1,late=0.2" as numbers; an unknown fate is an error."""
    found = {name.strip(): float(value) for name, _, value in (part.partition("=") for part in text.split(",") if part)}
    if unknown := set(found) - set(FATES):
        raise ValueError(f"messages cannot be {sorted(unknown)}")
    return found


def fate(chances: dict[str, float], roll: float) -> str | None:
    """What happens to one message; None for an ordinary life."""
    for name in FATES:
        roll -= chances.get(name, 0.0)
        if roll < 0:
            return name
    return None


def unreliable(send: Callable[..., Any], chances: dict[str, float], note: Callable[[str, str], None]) -> Any:
    """A sender that loses, repeats and delays. Late messages overtake each other and die with their sender."""

    def send_task(self: Celery, name: str, *args: Any, **kwargs: Any) -> Any:
        what = fate(chances, random.random())
        if what is not None:
            note(what, name)
        if what == "lost":
            return None
        if what == "late":
            later = threading.Timer(random.uniform(0.2, LATEST_SECONDS), _quietly, [send, self, name, args, kwargs])
            later.daemon = True
            later.start()
            return None
        times = 3 if what == "tripled" else 1
        return [send(self, name, *args, **kwargs) for _ in range(times)][-1]

    return send_task


def _quietly(send: Callable[..., Any], app: Celery, name: str, args: Any, kwargs: Any) -> None:
    try:
        send(app, name, *args, **kwargs)
    except Exception as error:  # a thread of a test: the broker may be dead by now, and then the message is lost
        note("lost", f"{name} {type(error).__name__}")


def note(what: str, name: str) -> None:
    path = os.environ.get(LOG)
    if path:
        with open(path, "a", encoding="utf-8") as log:
            log.write(f"{what} {name} {os.getpid()}\n")


def install() -> None:
    """Put the layer under this process's Celery, if it is wanted."""
    text = os.environ.get(RATES, "")
    if text:
        Celery.send_task = unreliable(Celery.send_task, rates(text), note)
