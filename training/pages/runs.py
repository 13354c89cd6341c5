"""What the pages of training show: rows and figures put together."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from datasets_app import selectors as datasets
from projects import lineage
from projects.contributions import Figure, Node
from projects.domain.states import JobState
from projects.models import Project
from projects.selectors import budget, queue
from training import charts, selectors
from training.domain import looks, money, tokens
from training.domain.recipe import KNOBS, Knob, Recipe
from training.models import Adapter, BaseModelVersion, Run, TokenProfile
from training.pages import projections
from training.pages.durability import durability
from training.pages.watching import OVER, Window, run_figures, samples

OVERVIEW_RUNS = 12


def run_status(run: Run, now: datetime, over: str = "step") -> dict[str, Any]:
    """Everything on a run's page that changes while it runs; its curves over steps, time or tokens."""
    attempts = selectors.attempts(run, now)
    running = sum((one.amount for one in attempts if one.attempt.ended_at is None), Decimal(0))
    return {
        "run": run,
        "live": selectors.live(run, now),
        "figures": run_figures(run, Window(over)),
        "stand": stand(run),
        "over": over,
        "overs": OVER,
        "samples": samples(run),
        "cards": selectors.cards(run),
        "shared": selectors.shared_rows(run),
        "attempts": attempts,
        "compared": selectors.predicted_against_actual(run, now),
        "adapter": getattr(run, "adapter", None),
        "money": budget.of_job(run, money.p90(run.projection), now, running=running),
        **durability(run, attempts),
    }


def stand(run: Run) -> str:
    """What the buttons and questions around the status depend on; of a run that is over also its attempt."""
    if run.is_over:
        return f"{run.state}-{run.fence}"
    asked = ("-cancelling" if run.cancel_requested_at else "") + ("-pausing" if run.pause_requested_at else "")
    return f"{run.state}{asked}"


def tell_reasons(runs: Iterable[Run]) -> None:
    """Give every run of a list that waits its reason, looking at the queue once."""
    shown = list(runs)
    reasons = queue.reasons(shown)
    for run in shown:
        run.waiting = reasons.get((run.job_label, run.pk))  # type: ignore[attr-defined]


def run_facts(run: Run) -> list[tuple[str, Any]]:
    """The recipe in words, with the knobs that apply to its method."""
    recipe = run.recipe
    return [(knob.label, shown(knob, recipe.get(knob.name))) for knob in KNOBS if run.method in knob.methods]


def shown(knob: Knob, value: Any) -> Any:
    """The value of a knob in words."""
    if knob.name == "checkpoint_steps" and not value:
        return "none fixed: every five minutes"
    match knob.kind:
        case "bool":
            return "yes" if value else "no"
        case "modules":
            return ", ".join(value or [])
        case "choice":
            return dict(knob.choices).get(value, value)
    return f"{value:g}" if isinstance(value, float) else value


def projection(
    project: Project,
    base: BaseModelVersion,
    profile: TokenProfile,
    recipe: Recipe,
    parent: Adapter | None = None,
    held_out: TokenProfile | None = None,
) -> dict[str, Any]:
    """The counted data, what a run over it would take, and whether that was rehearsed."""
    stats = selectors.token_stats(profile, recipe.max_length)
    projected = selectors.projection(project, base, profile, recipe, parent, held_out=held_out).as_dict()
    return {
        "profile": profile,
        "stats": stats,
        "projection": projected,
        "stages": projections.stage_rows(projected["stages"]),
        "rehearsal": selectors.rehearsal_of(project, base, profile.version, recipe, parent),
        **projections.rehearsing(project, projected, stats, recipe),
        "lost": tokens.rows_lost(stats, recipe.cut),
        "recipe": recipe,
        "largest_host": queue.largest("gpu") if recipe.devices > 1 else None,
        "held_out": _held_out(profile, held_out, recipe, projected) if held_out else None,
        "not_started": _not_started(stats, recipe, held_out),
        "nothing_left": tokens.decisions(stats, recipe)[1] is not None,
        **length_figure(stats),
        "overlaps": selectors.overlaps(profile.version),
    }


def _not_started(stats: dict[str, Any], recipe: Recipe, held_out: TokenProfile | None) -> str:
    """Why a start would be refused whatever is decided with it; empty when it would not."""
    _, refused = tokens.decisions(stats, recipe)
    if refused is None and held_out is not None:
        read = selectors.look(held_out, recipe).rows
        refused = projections.refusal(looks.check_rows, read, str(held_out.version), recipe.max_length)
    return refused.message if refused else ""


def _held_out(
    profile: TokenProfile, held_out: TokenProfile, recipe: Recipe, projected: dict[str, Any]
) -> dict[str, Any]:
    """What each look reads, how many there are, and the rows that are learnt from as well."""
    version = held_out.version
    look = selectors.look(held_out, recipe, projected["plan"]["work"]["epoch_tokens"])
    return {
        "version": version,
        "reads": looks.sentence(look.rows, version.rows),
        "rows": look.rows,
        "looks": projected["looks"],
        "shared": datasets.shared(profile.version, version),
        "sharing": datasets.last_sharing(profile.version, version),
    }


def plan(project: Project, projected: dict[str, Any], now: datetime) -> budget.Plan:
    """What the month has left for a run that is projected so."""
    return budget.plan(project, money.p90(projected), now)


def length_figure(stats: dict[str, Any]) -> dict[str, Any]:
    return {
        "lengths": charts.lengths(stats["histogram"], stats["limit"]),
        "lengths_title": charts.lengths_title(stats),
        "lengths_table": charts.lengths_table(stats["histogram"]),
    }


def descendants(adapter: Adapter) -> list[Node]:
    """Whatever any app says hangs on an adapter: evaluations, requests, deployments, further runs."""
    found = lineage.impact(adapter.project, f"adapter:{adapter.pk}")
    return list(lineage.nodes(adapter.project, [one.id for kind in found.by_kind.values() for one in kind]).values())


def overview(project: Project) -> list[Figure]:
    """The newest finished run's loss, on the project's overview."""
    run = project.runs.filter(state=JobState.SUCCEEDED).order_by("-pk").first()
    if run is None:
        return []
    drawn = selectors.drawn(run, "loss")
    if drawn.count < 2:
        return []
    curve = drawn.points.lists()
    average = drawn.average.lists() if drawn.average is not None else None
    title = f"{run}: {charts.loss_title(average or curve, curve[0][-1]).lower()}"
    figure = charts.loss(curve, average=average)
    return [Figure("newest-run-loss", title, figure, charts.loss_table(curve))]
