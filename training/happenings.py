"""What others can be told of training: how runs end, that the system has paused one, that a sweep is through."""

from projects import facts
from projects.domain.telling import Tell
from projects.events import EventType, register
from projects.facts import MONEY, about, about_job, example, only_if
from training.domain import failures

PAGE, SWEEP = "/projects/support/runs/7/", "/projects/support/sweeps/7/"
NAME = "tickets, rank 16"


def _say(code: str) -> str:
    known = failures.FAILURES.get(code)
    return f"{known.title} {known.advice}" if known else ""


MADE, MADE_PAGE = "tickets, rank 16, INT8", "/projects/support/models/7/"

EVENTS = (
    EventType(
        "derived.succeeded",
        "Adapters",
        "A merged or quantised model of an adapter is made and proved; whether it is as good is not measured yet.",
        ("derivedmodel.succeeded",),
        about_job("model", "{name} is made. It is not evaluated yet."),
        example(
            "model", MADE, f"{MADE} is made. It is not evaluated yet.", path=MADE_PAGE, state="succeeded", money=MONEY
        ),
        Tell.NOBODY,
        always=True,
    ),
    EventType(
        "derived.failed",
        "Adapters",
        "A merged or quantised model of an adapter could not be made.",
        ("derivedmodel.failed",),
        about_job("model", "{name} was not made."),
        example(
            "model",
            MADE,
            f"{MADE} was not made. Workers lost, killed or stalled, full disks, networks.",
            path=MADE_PAGE,
            state="failed",
            money=MONEY,
            failure={
                "code": "disk_full",
                "cause": "infrastructure",
                "text": "Workers lost, killed or stalled, full disks, networks.",
            },
        ),
        Tell.WHOSE,
        always=True,
    ),
    EventType(
        "run.succeeded",
        "Training",
        "A run has ended well and there is an adapter.",
        ("run.succeeded",),
        about_job("run", "{name} has succeeded."),
        example("run", NAME, f"{NAME} has succeeded.", path=PAGE, state="succeeded", money=MONEY),
        Tell.NOBODY,
        always=True,
    ),
    EventType(
        "run.failed",
        "Training",
        "A run has failed and does not go on by itself.",
        ("run.failed",),
        about_job("run", "{name} has failed.", say=_say),
        example(
            "run",
            NAME,
            f"{NAME} has failed. The device ran out of memory.",
            path=PAGE,
            state="failed",
            money=MONEY,
            failure={"code": "oom", "cause": "memory", "text": "The device ran out of memory."},
        ),
        Tell.WHOSE,
        always=True,
    ),
    EventType(
        "run.cancelled",
        "Training",
        "Somebody has stopped a run for good.",
        ("run.cancelled",),
        about_job("run", "{name} is cancelled."),
        example("run", NAME, f"{NAME} is cancelled.", path=PAGE, state="cancelled", money=MONEY),
        Tell.WHOSE,
        always=True,
    ),
    EventType(
        "run.paused_by_system",
        "Training",
        "A run has passed what was held for it with nothing left of the month's budget, and is paused.",
        ("run.paused",),
        only_if(facts.system_paused, about_job("run", "{name} is paused: the month's budget is used up.")),
        example(
            "run",
            NAME,
            f"{NAME} is paused: the month's budget is used up.",
            path=PAGE,
            state="paused",
            money=MONEY,
        ),
        Tell.WHOSE,
    ),
    EventType(
        "sweep.finished",
        "Training",
        "Every run of a sweep is over, however it ended.",
        ("sweep.finished",),
        about("sweep", "The sweep {name} is through."),
        example("sweep", "rank and rate", "The sweep rank and rate is through.", path=SWEEP),
        Tell.WHOSE,
    ),
)


def register_all() -> None:
    register(*EVENTS)
