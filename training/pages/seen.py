"""What the model will see: the whole set under a limit, and single rows token by token."""

from typing import Any

from django.urls import reverse

from datasets_app.models import DatasetVersion
from projects.contributions import Tab
from projects.domain import formatting
from training import selectors
from training.domain import seeing
from training.domain.tokens import LOSSES
from training.models import BaseModelVersion, TokenProfile
from training.pages.runs import length_figure

REASONS = {
    "longest": "Longest",
    "shortest": "Shortest",
    "most turns": "Most turns",
    "with tools": "With tools",
    "refused by the template": "Refused by the template",
    "random": "Random",
}
LISTED = 12


def tabs(version: DatasetVersion) -> list[Tab]:
    """The link on a version's page."""
    return [Tab("What the model will see", reverse("version-seen", args=[version.project.slug, version.pk]))]


def seen_page(version: DatasetVersion, base: BaseModelVersion | None, limit: int, row: int | None) -> dict[str, Any]:
    """The page; while the data is being counted a sample stands for it."""
    context: dict[str, Any] = {
        "version": version,
        "dataset": version.dataset,
        "base": base,
        "bases": list(selectors.ready_bases(version.project)),
        "limit": limit,
        "row": row,
    }
    profile = selectors.profile_for(version, base) if base else None
    context["profile"] = profile
    if profile is None or not profile.is_ready:
        if profile is not None and profile.is_active and profile.stats.get("sample"):
            context |= {"sample": profile.stats} | length_figure(profile.stats)
        return context
    telling = [(REASONS.get(why, why), index) for why, index in selectors.telling_rows(profile)]
    return context | summary(profile, limit) | {"telling": telling, "row": _chosen(telling, row)}


def _chosen(telling: list[tuple[str, int]], row: int | None) -> int | None:
    return row if row is not None else telling[0][1] if telling else None


def summary(profile: TokenProfile, limit: int) -> dict[str, Any]:
    stats = selectors.token_stats(profile, limit)
    return {"stats": stats, "facts": _facts(stats), "losses": losses(stats)} | length_figure(stats)


def _facts(stats: dict[str, Any]) -> list[dict[str, Any]]:
    rows = stats["rows"]
    lost = [
        {
            "label": label,
            "value": formatting.number(stats[name]),
            "hint": formatting.percent(stats[name] / rows) if rows else "",
            "tone": tone if stats[name] else "",
        }
        for name, label, tone in (
            ("cut", "Rows cut", "attention"),
            ("answers_cut", "Answers cut", "failed"),
            ("untrained", "Rows with no trained token", "failed"),
        )
    ]
    gone = stats["tokens"] - stats["kept_tokens"]
    return [
        *lost,
        {
            "label": "Trained tokens",
            "value": formatting.percent(stats["trained_share"]),
            "hint": f"{formatting.number(stats['kept_trained'])} of what is kept",
        },
        {
            "label": "Tokens per epoch",
            "value": formatting.number(stats["kept_tokens"]),
            "hint": f"{formatting.number(gone)} cut away" if gone else "nothing cut away",
        },
        {"label": "Longest row", "value": formatting.number(stats["longest"]), "hint": _middle(stats)},
    ]


def _middle(stats: dict[str, Any]) -> str:
    return f"half up to {formatting.number(stats['median'])}, 95\u202f% up to {formatting.number(stats['p95'])}"


def losses(stats: dict[str, Any]) -> list[dict[str, Any]]:
    """What the limit costs, worst first: how many rows, which, why it matters, what to do."""
    found = [
        {
            "name": name,
            "tone": loss.tone,
            "count": stats[name],
            "title": loss.title,
            "why": loss.why,
            "rows": stats[f"{name}_rows"][:LISTED],
            "more": stats[name] - LISTED,
        }
        for name, loss in LOSSES.items()
        if stats[name] and not (name == "cut" and stats["cut"] == stats["answers_cut"])
    ]
    if (remedy := stats["remedy"]) and found and stats["cut"]:
        found[0]["remedy"] = remedy | {"share": _share(remedy["more_tokens"], stats["kept_tokens"])}
    return found


def _share(more: int, kept: int) -> str:
    return formatting.percent(more / kept) if kept else "all"


def row_page(version: DatasetVersion, base: BaseModelVersion, limit: int, row: int, *, whole: bool) -> dict[str, Any]:
    """One row token by token, or the state of its rendering."""
    seen = selectors.seen_anywhere(version, base, row)
    job = selectors.seen_job(version, base, row)
    context = {"version": version, "base": base, "limit": limit, "row": row, "job": job, "seen": seen, "whole": whole}
    context |= {"previous": row - 1 if row else None, "next": row + 1 if row + 1 < version.rows else None}
    if seen:
        context["sequences"] = [seeing.sequence(one, limit, whole=whole) for one in seen["sequences"]]
    return context
