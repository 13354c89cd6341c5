"""Figures about money."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go

from projects import charting
from projects.contributions import Figure
from projects.domain import formatting
from projects.domain.states import WITHOUT_RESULT

CAUSES = ("training", "evaluation", "data", "deployment", "people", "rehearsal")
CAUSE_COLOURS = dict(zip(CAUSES, charting.PALETTE, strict=False))
# Colour says how it ended, and so does the hatching: never colour alone.
OUTCOMES = {
    "succeeded": ("Succeeded", charting.TONES["succeeded"], ""),
    "failed": ("Failed", charting.TONES["failed"], "/"),
    "interrupted": ("Interrupted", charting.TONES["attention"], "|"),
    "paused": ("Paused", charting.TONES["running"], "-"),
    "lost": ("Lost", charting.TONES["void"], "x"),
    "cancelled": ("Cancelled", charting.TONES["waiting"], "."),
}
WEEKLY_FROM_DAYS = 120
ZERO = Decimal(0)


def cost_over_time(rows: Sequence[tuple[date, str, Decimal]], *, since: date, until: date, currency: str) -> Figure:
    """Stacked bars of a day (of a week in long stretches) by cause. `rows` are (day, cause, amount)."""
    weekly = (until - since).days >= WEEKLY_FROM_DAYS
    sums = _by_period(rows, weekly)
    periods = _periods(since, until, weekly)
    causes = [cause for cause in CAUSES if any(cause in sums[period] for period in periods)]
    traces = [
        go.Bar(
            name=cause.title(),
            x=periods,
            y=[float(sums[period].get(cause, ZERO)) for period in periods],
            marker={"color": CAUSE_COLOURS[cause]},
            hovertemplate=f"%{{y:,.4~f}} {currency}",
        )
        for cause in causes
    ]
    figure = go.Figure(traces)
    figure.update_layout(
        barmode="stack",
        showlegend=len(causes) > 1,
        xaxis={"title": {"text": "week from" if weekly else "day (UTC)"}, "type": "date"},
        yaxis={"title": {"text": currency}},
    )
    table = {
        "head": ["Week from" if weekly else "Day", *[cause.title() for cause in causes], "Sum"],
        "rows": [_table_row(period, sums[period], causes, currency) for period in periods if sums[period]],
    }
    return Figure("cost-over-time", _time_title(rows, since, until, currency), charting.figure_dict(figure), table)


def _by_period(rows: Sequence[tuple[date, str, Decimal]], weekly: bool) -> dict[date, dict[str, Decimal]]:
    sums: dict[date, dict[str, Decimal]] = defaultdict(dict)
    for day, cause, amount in rows:
        period = _monday(day) if weekly else day
        sums[period][cause] = sums[period].get(cause, ZERO) + amount
    return sums


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _periods(since: date, until: date, weekly: bool) -> list[date]:
    first, step = (_monday(since), 7) if weekly else (since, 1)
    return [first + timedelta(days=at) for at in range(0, (until - first).days + 1, step)]


def _table_row(period: date, sums: dict[str, Decimal], causes: Sequence[str], currency: str) -> list[Any]:
    cells = [formatting.money(sums.get(cause, ZERO), currency) for cause in causes]
    return [period.isoformat(), *cells, formatting.money(sum(sums.values(), ZERO), currency)]


def _time_title(rows: Sequence[tuple[date, str, Decimal]], since: date, until: date, currency: str) -> str:
    """The chart's message, computed from what it shows."""
    days = (until - since).days + 1
    total = sum((amount for _, _, amount in rows), ZERO)
    if not total:
        return f"Nothing spent in the last {days} days"
    by_cause: dict[str, Decimal] = defaultdict(Decimal)
    for _, cause, amount in rows:
        by_cause[cause] += amount
    dearest = max(by_cause, key=lambda cause: by_cause[cause])
    share = formatting.percent(by_cause[dearest] / total, 0)
    return f"{formatting.money(total, currency)} in the last {days} days, {share} of it for {dearest}"


def cost_by_outcome(rows: Sequence[tuple[str, str, Decimal]], *, currency: str) -> Figure:
    """One bar for each cause, in parts by how it ended. `rows` are (cause, outcome, amount)."""
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for cause, outcome, amount in rows:
        sums[cause][outcome] += amount
    causes = sorted(sums, key=lambda cause: sum(sums[cause].values(), ZERO))
    outcomes = [known for known in OUTCOMES if any(known in sums[cause] for cause in causes)]
    outcomes += sorted({outcome for _, outcome, _ in rows} - set(OUTCOMES))
    figure = go.Figure([_outcome_bar(outcome, causes, sums, currency) for outcome in outcomes])
    figure.update_layout(
        barmode="stack",
        hovermode="closest",
        showlegend=True,
        xaxis={"title": {"text": currency}, "showgrid": True, "rangemode": "tozero"},
        yaxis={"showgrid": False},
    )
    table = {
        "head": ["Cause", *[_word(outcome) for outcome in outcomes], "Sum"],
        "rows": [
            [
                cause.title(),
                *[formatting.money(sums[cause].get(outcome, ZERO), currency) for outcome in outcomes],
                formatting.money(sum(sums[cause].values(), ZERO), currency),
            ]
            for cause in reversed(causes)
        ],
    }
    return Figure("cost-by-outcome", _outcome_title(rows, currency), charting.figure_dict(figure), table)


def _word(outcome: str) -> str:
    return OUTCOMES[outcome][0] if outcome in OUTCOMES else outcome.replace("_", " ").title()


def _outcome_bar(outcome: str, causes: Sequence[str], sums: dict[str, dict[str, Decimal]], currency: str) -> go.Bar:
    _, colour, hatching = OUTCOMES.get(outcome, ("", charting.PALETTE[5], "-"))
    return go.Bar(
        name=_word(outcome),
        orientation="h",
        y=[cause.title() for cause in causes],
        x=[float(sums[cause].get(outcome, ZERO)) for cause in causes],
        marker={"color": colour, "pattern": {"shape": hatching, "solidity": 0.25}},
        hovertemplate=f"%{{y}}, {_word(outcome).lower()}: %{{x:,.4~f}} {currency}<extra></extra>",
    )


def _outcome_title(rows: Sequence[tuple[str, str, Decimal]], currency: str) -> str:
    total = sum((amount for _, _, amount in rows), ZERO)
    wasted = sum((amount for _, outcome, amount in rows if outcome in WITHOUT_RESULT), ZERO)
    if not wasted:
        return "All of it went into work that succeeded"
    share = formatting.percent(wasted / total, 0)
    return f"{formatting.money(wasted, currency)} ({share}) ended without a result"


def cost_by_month(rows: Sequence[tuple[date, Decimal, Decimal]], *, budget: Decimal | None, currency: str) -> Figure:
    """A bar for each month, in parts with and without a result, under the line of the budget as it is now.

    `rows` are (first day, spent, of that without a result), the last one being the month that runs.
    """
    months = [f"{start:%b %Y}" for start, _, _ in rows]
    kept = [float(spent - lost) for _, spent, lost in rows]
    wasted = [float(lost) for _, _, lost in rows]
    hover = f"%{{y:,.4~f}} {currency}"
    lost_look = {"color": charting.TONES["failed"], "pattern": {"shape": "/", "solidity": 0.25}}
    figure = go.Figure(
        [
            go.Bar(name="With a result", x=months, y=kept, marker={"color": charting.PALETTE[0]}, hovertemplate=hover),
            go.Bar(name="Without a result", x=months, y=wasted, marker=lost_look, hovertemplate=hover),
        ]
    )
    figure.update_layout(
        barmode="relative",  # a correction may make a part negative
        showlegend=True,
        xaxis={"title": {"text": "month (UTC)"}, "type": "category", "nticks": 8},
        yaxis={"title": {"text": currency}},
    )
    if budget is not None:
        figure.add_trace(_budget_line(months, budget, currency))
    table = {
        "head": ["Month", "With a result", "Without a result", "Sum", *(["Of the budget"] if budget else [])],
        "rows": [
            [
                f"{start:%B %Y}",
                *[formatting.money(part, currency) for part in (spent - lost, lost, spent)],
                *([formatting.percent(spent / budget, 0)] if budget else []),
            ]
            for start, spent, lost in reversed(rows)
        ],
    }
    return Figure("cost-by-month", _months_title(rows, budget, currency), charting.figure_dict(figure), table)


def _budget_line(months: Sequence[str], budget: Decimal, currency: str) -> go.Scatter:
    """As it is now: what it was in each month is only in the audit log."""
    return go.Scatter(
        name=f"Budget now {formatting.money(budget, currency)}",
        x=months,
        y=[float(budget)] * len(months),
        mode="lines" if len(months) > 1 else "markers",
        line={"color": charting.TONES["attention"], "dash": "dash"},
        marker={"color": charting.TONES["attention"], "symbol": "line-ew-open", "size": 40},
        hovertemplate=f"%{{y:,.2f}} {currency}",
    )


def _months_title(rows: Sequence[tuple[date, Decimal, Decimal]], budget: Decimal | None, currency: str) -> str:
    over = [start for start, spent, _ in rows if budget is not None and spent > budget]
    if budget is not None and len(rows) > 1:
        return f"{len(over)} of {len(rows)} months went beyond today's budget" if over else (
            f"All of {len(rows)} months stayed within today's budget"
        )  # fmt: skip
    start, spent, _ = rows[-1]
    return f"{formatting.money(spent, currency)} in {start:%B %Y} so far"


def lost_by_cause(rows: Sequence[tuple[str, Decimal]], *, currency: str) -> Figure:
    """One bar for each cause of loss, the dearest on top. `rows` are (word, amount), the dearest first."""
    total = sum((amount for _, amount in rows), ZERO)
    bar = go.Bar(
        orientation="h",
        y=[word for word, _ in reversed(rows)],
        x=[float(amount) for _, amount in reversed(rows)],
        marker={"color": charting.TONES["failed"], "pattern": {"shape": "/", "solidity": 0.25}},
        hovertemplate=f"%{{y}}: %{{x:,.4~f}} {currency}<extra></extra>",
    )
    figure = go.Figure([bar])
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": {"text": currency}, "showgrid": True, "rangemode": "tozero"},
        yaxis={"showgrid": False},
    )
    table = {
        "head": ["Cause of loss", "Amount", "Share"],
        "rows": [
            [word, formatting.money(amount, currency), formatting.percent(amount / total, 0) if total else "–"]
            for word, amount in rows
        ],
    }
    title = f"{rows[0][0]} cost most of what was lost" if rows else "Nothing was lost"
    return Figure("lost-by-cause", title, charting.figure_dict(figure), table)
