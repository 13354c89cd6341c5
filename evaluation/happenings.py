"""What others can be told of evaluations: that one has its answer, or has failed."""

from projects.domain.telling import Tell
from projects.events import EventType, register
from projects.facts import MONEY, about_job, example

PAGE = "/projects/support/evaluations/7/"
PAIR, PROBE = "/projects/support/compatibility/3/7/", "tickets, rank 16 on help-desk 2"
NAME = "tickets, rank 16 on golden tickets v2"


EVENTS = (
    EventType(
        "evaluation.succeeded",
        "Evaluation",
        "An evaluation is through: whether the adapter is better than its base can be read.",
        ("evaluation.succeeded",),
        about_job("evaluation", "The evaluation of {name} has its answer."),
        example(
            "evaluation",
            NAME,
            f"The evaluation of {NAME} has its answer.",
            path=PAGE,
            state="succeeded",
            money=MONEY,
        ),
        Tell.NOBODY,
        always=True,
    ),
    EventType(
        "evaluation.failed",
        "Evaluation",
        "An evaluation has failed.",
        ("evaluation.failed",),
        about_job("evaluation", "The evaluation of {name} has failed."),
        example(
            "evaluation",
            NAME,
            f"The evaluation of {NAME} has failed.",
            path=PAGE,
            state="failed",
            money=MONEY,
            failure={
                "code": "hash_mismatch",
                "cause": "data",
                "text": "Rows, templates or files that could not be used as they are.",
            },
        ),
        Tell.WHOSE,
        always=True,
    ),
    EventType(
        "probe.succeeded",
        "Evaluation",
        "A probe is through: how far an adapter has drifted on another version of its base can be read.",
        ("probe.succeeded",),
        about_job("probe", "The probe of {name} has its figures."),
        example("probe", PROBE, f"The probe of {PROBE} has its figures.", path=PAIR, state="succeeded", money=MONEY),
        Tell.NOBODY,
        always=True,
    ),
    EventType(
        "probe.failed",
        "Evaluation",
        "A probe of an adapter on another version of its base has failed.",
        ("probe.failed",),
        about_job("probe", "The probe of {name} has failed."),
        example(
            "probe",
            PROBE,
            f"The probe of {PROBE} has failed.",
            path=PAIR,
            state="failed",
            money=MONEY,
            failure={
                "code": "flipped_bit",
                "cause": "data",
                "text": "Rows, templates or files that could not be used as they are.",
            },
        ),
        Tell.WHOSE,
        always=True,
    ),
)


def register_all() -> None:
    register(*EVENTS)
