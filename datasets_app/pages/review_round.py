"""The page of a round: how far it is, what it costs, how far people agree, what becomes of the rows."""

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Paginator

from datasets_app.domain.reviewing import DISPUTED, UNTOUCHED, Speed
from datasets_app.models import ReviewDecision, ReviewItem, ReviewRound
from datasets_app.pages.review import scope_words, shown_item
from datasets_app.selectors import review as reads
from datasets_app.selectors import review_progress
from datasets_app.selectors.review_progress import Progress
from projects.contributions import Figure
from projects.domain.formatting import duration, money, number, percent, sig3
from projects.models import User

WORDS = dict(ReviewDecision.Verdict.choices) | {DISPUTED: "In dispute", UNTOUCHED: "Not looked at"}
DISPUTES_A_PAGE = 10


def round_page(review: ReviewRound, user: User) -> dict[str, Any]:
    progress = review_progress.progress(review)
    agreement, pairs = review_progress.agreements(review)
    return {
        "review": review,
        "version": review.version,
        "dataset": review.version.dataset,
        "scope": scope_words(review),
        "progress": progress,
        "facts": facts(review, progress),
        "became": [(WORDS[name], n, n / progress.planned) for name, n in progress.became.items() if n],
        "disputed": progress.became[DISPUTED],
        "mine": reads.waiting_for(review, user) if review.is_open else 0,
        "figures": figures(progress),
        "agreement": agreement,
        "kappa": kappa_words(agreement),
        "confusion": confusion(agreement),
        "pairs": [(pair, kappa_words(pair.found)) for pair in pairs],
        "closing": closing_words(review, progress),
    }


def facts(review: ReviewRound, progress: Progress) -> list[dict[str, Any]]:
    """What the page says first, as components/stat.html takes it."""
    left = progress.seconds_left
    pace: Speed | None = progress.speed
    hour = money(review.project.people_hour_price, review.project.currency)
    return [
        {
            "label": "Rows looked at",
            "value": f"{number(progress.rows_done)} of {number(progress.planned)}",
            "hint": f"{number(progress.looks_done)} of {number(progress.looks)} looks",
        },
        {
            "label": "Time left",
            "value": "none" if progress.is_done else duration(left) if left is not None else "–",
            "hint": "of people's time, at the pace so far" if not progress.is_done else "everything was looked at",
        },
        {
            "label": "Pace",
            "value": f"{sig3(pace.per_hour)} rows" if pace else "–",
            "unit": "an hour" if pace else "",
            "hint": f"median {duration(pace.median)} a row" if pace else "known after the first rows",
        },
        {
            "label": "Cost so far",
            "value": money(progress.cost, review.project.currency),
            "hint": f"{duration(progress.seconds)} at {hour} an hour",
        },
    ]


def figures(progress: Progress) -> list[Figure]:
    from datasets_app import charts

    people = [(str(person.user), person.counts) for person in progress.people if person.counts]
    drawn = [charts.review_people(people, WORDS), charts.review_days(progress.days, WORDS)]
    return [figure for figure in drawn if figure is not None]


def kappa_words(found: Any) -> str:
    """0.62 (0.41 to 0.83), substantial: never the bare number."""
    if found.kappa is None:
        return found.reading
    text = f"{found.kappa:.2f} ({found.low:.2f} to {found.high:.2f}), {found.reading}".replace("-", "−")
    return f"{text}; too few rows to rely on" if found.is_thin else text


def confusion(found: Any) -> dict[str, Any] | None:
    """First look by second look, as components/data_table.html takes it."""
    if not found.pairs:
        return None
    names = [WORDS[verdict] for verdict in found.verdicts]
    rows = [[f"First: {name}", *map(number, row)] for name, row in zip(names, found.table, strict=True)]
    return {"head": ["", *(f"Second: {name}" for name in names)], "rows": rows}


def closing_words(review: ReviewRound, progress: Progress) -> str:
    """What closing will do, in one sentence and its warnings."""
    fixed, turned, rejected = (progress.became[name] for name in ("fix", "swap", "reject"))
    parts = [f"{rows(fixed)} with the mended answer"] if fixed else []
    parts += [f"{rows(turned)} turned round"] if turned else []
    parts += [f"{rows(rejected)} left out"] if rejected else []
    text = f"A new version is made: {', '.join(parts)}."
    if not parts:
        text = "Nothing was fixed or rejected, so no new version is needed."
    if progress.became[DISPUTED]:
        text += f" {rows(progress.became[DISPUTED]).capitalize()} in dispute stay as they are."
    if progress.became[UNTOUCHED]:
        text += f" {rows(progress.became[UNTOUCHED]).capitalize()} nobody looked at stay as they are."
    return text


def rows(n: int) -> str:
    return "1 row" if n == 1 else f"{number(n)} rows"


def share(part: int, whole: int) -> str:
    return percent(part / whole, 0) if whole else "–"


def disputes_page(review: ReviewRound, page: int) -> dict[str, Any]:
    """Rows about which people disagree, with what each of them said."""
    wanted = Paginator(review_progress.disputes(review), DISPUTES_A_PAGE).get_page(page)
    items = list(
        ReviewItem.objects.filter(pk__in=list(wanted.object_list))
        .select_related("round__project", "round__version__dataset__project")
        .order_by("position")
    )
    return {
        "review": review,
        "version": review.version,
        "dataset": review.version.dataset,
        "page": wanted,
        "entries": [_dispute(*found) for found in reads.shown_items(items)],
    }


def _dispute(item: ReviewItem, row: dict[str, Any], hits: Sequence[Any]) -> dict[str, Any]:
    said = item.decisions.exclude(verdict="skip").select_related("reviewer").order_by("pk")
    return shown_item(item, row, list(hits)) | {"said": list(said)}
