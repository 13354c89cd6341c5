"""A failed run as a page and the API tell it: what happened, where, what it cost, and what to do next."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from projects.domain.states import JobState
from training.domain import kept
from training.domain.failures import Failure, explain, shorten
from training.domain.recipe import BadRecipe, Recipe
from training.domain.remedies import Remedy, remedy
from training.models import Run
from training.selectors.checkpoints import whole_steps
from training.selectors.runs import AttemptCost

ZERO = Decimal(0)


@dataclass(frozen=True)
class Spent:
    """What all attempts have cost, and the part of it that checkpoints keep."""

    total: Decimal = ZERO
    kept: Decimal = ZERO

    @property
    def lost(self) -> Decimal:
        return self.total - self.kept


@dataclass(frozen=True)
class Trouble:
    failure: Failure
    message: str
    detail: str
    spent: Spent
    where: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    remedy: Remedy | None = None
    resume_step: int = 0

    @property
    def is_traceback(self) -> bool:
        return self.detail.startswith("Traceback")


def trouble(run: Run, attempts: Iterable[AttemptCost]) -> Trouble | None:
    """None while nothing has failed."""
    if run.state != JobState.FAILED:
        return None
    steps = whole_steps(run)
    return Trouble(
        failure=explain(run.error_code),
        message=shorten(run.error_message),
        detail=shorten(run.error_detail),
        spent=spent(run, attempts, steps),
        where=_where(run),
        rows=[int(row) for row in run.failure.get("rows", [])],
        remedy=_remedy(run),
        resume_step=max(steps, default=0),
    )


def spent(run: Run, attempts: Iterable[AttemptCost], steps: list[int]) -> Spent:
    """`steps` are the checkpoints that are whole: only they keep anything."""
    total = keeps = ZERO
    for one in attempts:
        part = kept.share(run.saves, one.attempt.fence, one.seconds, steps)
        total += one.amount
        keeps += one.amount * Decimal(str(round(part, 6)))
    return Spent(total, keeps)


def _remedy(run: Run) -> Remedy | None:
    try:
        return remedy(run.error_code, Recipe.read(run.recipe), run.failure)
    except BadRecipe:
        return None  # the failure may be that very recipe


def _where(run: Run) -> list[str]:
    """The step and the rows, as far as they are known."""
    known, lines = run.failure, []
    if known.get("step"):
        of = f" of {run.total_steps:,}" if run.total_steps else ""
        lines.append(f"at step {known['step']:,}{of}")
    if known.get("loading"):
        lines.append("while the base was being loaded")
    if known.get("card"):
        lines.append(f"on card {known['card']} of {run.devices}")
    if "longest_row" in known:
        lines.append(f"the longest row is row {known['longest_row']:,} with {known['longest_tokens']:,} tokens")
    if known.get("batch_rows"):
        lines.append(f"{known['batch_rows']:,} rows at once, {known['batch_tokens']:,} tokens with their padding")
    return lines
