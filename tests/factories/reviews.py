"""Rounds of review for tests, opened and worked through by the product's own services."""

from typing import Any

from datasets_app.models import DatasetVersion, ReviewDecision, ReviewRound
from datasets_app.services import review as queue
from datasets_app.services import review_rounds
from projects.domain.permissions import Role
from projects.models import User
from tests.factories.datasets import make_version, tickets
from tests.factories.projects import make_member


def make_round(version: DatasetVersion | None = None, rows: int = 6, by: User | None = None, **fields) -> ReviewRound:
    version = version or make_version(rows=tickets(rows))
    by = by or version.created_by
    return review_rounds.open_round(version, by=by, **{"name": "First look"} | fields)


def make_reviewers(review: ReviewRound, number: int = 2) -> list[User]:
    return [make_member(review.project, Role.REVIEWER) for _ in range(number)]


def take(review: ReviewRound, by: User, number: int = 1, **fields) -> list:
    return queue.take_items(review, by=by, number=number, **fields)


def decide(review: ReviewRound, by: User, verdict: str = "accept", **fields: Any) -> ReviewDecision:
    """Take the next row and say this of it."""
    (item,) = take(review, by)
    return queue.decide_item(item, by=by, verdict=verdict, **fields)
