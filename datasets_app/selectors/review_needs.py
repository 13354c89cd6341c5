"""What reviews want of the person who looks at the overview."""

from datasets_app.models import ReviewRound
from datasets_app.selectors import review_progress
from datasets_app.selectors.review import rounds, waiting_for
from projects import access
from projects.contributions import Need
from projects.domain.formatting import number
from projects.domain.permissions import Permission
from projects.models import Project, User

SHOWN = 10


def needs(project: Project, user: User) -> list[Need]:
    """Rows that wait for their eyes, rows in dispute, rounds that can be closed; newest rounds first."""
    looks = access.may(user, Permission.DATASET_REVIEW, project)
    decides = access.may(user, Permission.DATASET_EDIT, project)
    found: list[Need] = []
    if looks or decides:
        for review in rounds(project).filter(state=ReviewRound.State.OPEN).order_by("-pk")[:SHOWN]:
            found += _of_round(review, user, looks=looks, decides=decides)
    return found


def _of_round(review: ReviewRound, user: User, *, looks: bool, decides: bool) -> list[Need]:
    mine = waiting_for(review, user) if looks else 0
    if mine:
        text = f"{_rows(mine)} for you in “{review}”"
        return [Need(text, review.get_absolute_url() + "queue/", "attention", review.created_at, "review")]
    if not decides:
        return []
    disputed = len(review_progress.disputes(review))
    if disputed:
        text = f"People disagree about {'1 row' if disputed == 1 else f'{number(disputed)} rows'} of “{review}”"
        return [Need(text, review.get_absolute_url() + "disputes/", "attention", review.created_at, "review")]
    if review.laid >= review.planned and not review_progress.undone(review):
        text = f"“{review}” is looked through: close it to make the next version"
        return [Need(text, review.get_absolute_url(), "succeeded", review.created_at, "review")]
    return []


def _rows(n: int) -> str:
    return "1 row waits" if n == 1 else f"{number(n)} rows wait"
