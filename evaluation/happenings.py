"""What others can be told of evaluations: that one has its answer, or has failed."""

from projects.domain.telling import Tell
from projects.events import EventType, register
from projects.facts import MONEY, about_job, example

PAGE = "/projects/support/evaluations/7/"
PAIR, PROBE = "/projects/support/compatibility/3/7/", "tickets, rank 16 on help-desk 2"
NAME = "tickets, rank 16 on golden tickets v2"


COMPARED, COMPARED_PAGE = "tickets, rank 16, INT8 on golden tickets v2", "/projects/support/comparisons/7/"


EVENTS = (
    EventType(
        "equivalence.succeeded",
        "Evaluation",
        "A derived model has been held against its adapter: whether they are equal can be read.",
        ("equivalence.succeeded",),
        about_job("comparison", "The evaluation of {name} has its answer."),
        example(
            "comparison",
            COMPARED,
            f"The evaluation of {COMPARED} has its answer.",
            path=COMPARED_PAGE,
            state="succeeded",
            money=MONEY,
        ),
        Tell.NOBODY,
        always=True,
    ),
    EventType(
        "equivalence.failed",
        "Evaluation",
        "An evaluation of a derived model has failed.",
        ("equivalence.failed",),
        about_job("comparison", "The evaluation of {name} has failed."),
        example(
            "comparison",
            COMPARED,
            f"The evaluation of {COMPARED} has failed.",
            path=COMPARED_PAGE,
            state="failed",
            money=MONEY,
            failure={
                "code": "artefact_damaged",
                "cause": "data",
                "text": "Rows, templates or files that could not be used as they are.",
            },
        ),
        Tell.WHOSE,
        always=True,
    ),
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
