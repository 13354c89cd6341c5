"""What a run's page shows of its course: curves over steps, time or tokens, answers to prompts, and its log."""

from dataclasses import dataclass
from typing import Any

from training import charts, selectors
from training.domain.looks import VALIDATION
from training.domain.series import LAST_STEP, Series
from training.models import Run

# In this order: what is learned, how, how fast, and what it takes of the machine.
SMALL = (
    "token_accuracy",
    "reward_accuracy",
    "learning_rate",
    "grad_norm",
    "tokens_per_second",
    "device_use",
    "memory_bytes",
    "power_watts",
    "temperature",
)
REWARDS = ("reward_chosen", "reward_rejected")
OVER = {"step": "Steps", "seconds": "Time", "tokens": "Tokens"}


@dataclass(frozen=True)
class Window:
    """The part of a run that is looked at, and what it is drawn over."""

    over: str = "step"
    first: int = 0
    last: int = LAST_STEP


def run_figures(run: Run, window: Window = Window(), only: str = "") -> list[dict[str, Any]]:
    """The loss first; then what the method is about; then pace and machine. `only` one of them, by its id."""
    wanted = {"": ("loss", *REWARDS, *SMALL), "rewards": REWARDS}.get(only, (only,))
    drawn = {
        name: one for name in wanted if (one := selectors.drawn(run, name, first=window.first, last=window.last)).count
    }
    curves = {name: _over(run, one.points, window) for name, one in drawn.items()}
    over = _axis(run, window.over)
    found = []
    if "loss" in curves:
        found.append(_loss(run, drawn["loss"], curves["loss"], over, window))
    if set(REWARDS) <= set(curves):
        title = "Rewards of chosen and rejected answers"
        figure, table = charts.rewards(curves, over), charts.rewards_table(curves, over)
        found.append(_figure("rewards", title, figure, table, drawn["reward_chosen"]))
    for index, name in enumerate(SMALL, start=2):
        if of_cards := _of_cards(run, name, over, window) if name in wanted else None:
            found.append(of_cards)
        elif name in curves and (name != "token_accuracy" or "reward_accuracy" not in curves):
            curve = curves[name]
            figure, table = charts.metric(name, curve, over, index), charts.metric_table(name, curve, over)
            found.append(_figure(name, charts.LOOKS[name].title, figure, table, drawn[name]))
    return found


def _loss(run: Run, drawn: selectors.Drawn, curve: charts.Curve, over: charts.Axis, window: Window) -> dict[str, Any]:
    average = _over(run, drawn.average, window) if drawn.average is not None else None
    held_out = None
    if run.validation_version_id:
        looked = selectors.drawn(run, VALIDATION, first=window.first, last=window.last)
        held_out = _over(run, looked.points, window)
    figure = charts.loss(curve, average=average, over=over, held_out=held_out)
    title = charts.loss_title(average or curve, int(drawn.points.steps[-1]))
    return _figure("loss", title, figure, charts.loss_table(curve, over, held_out), drawn)


def _of_cards(run: Run, name: str, over: charts.Axis, window: Window) -> dict[str, Any] | None:
    """A line for each card, where the run has several and the driver tells of each."""
    title = charts.LOOKS[name].of_cards
    numbers = range(1, run.devices + 1) if run.devices > 1 and title else ()
    drawn = {n: selectors.drawn(run, f"{name}_{n}", first=window.first, last=window.last) for n in numbers}
    told = {n: one for n, one in drawn.items() if one.count}
    if not told:
        return None
    curves = {f"Card {n}": _over(run, one.points, window) for n, one in told.items()}
    figure, table = charts.of_cards(name, curves, over), charts.of_cards_table(name, curves, over)
    return _figure(name, title, figure, table, next(iter(told.values())))


def _axis(run: Run, over: str) -> charts.Axis:
    """In one unit for the whole run, however closely it is looked at."""
    clock = selectors.newest(run, over, 1).values
    return charts.axis(over, float(clock[-1]) if len(clock) else 0.0)


def window(run: Run, over: str, first: float, last: float) -> Window:
    """The part between two places on the axis, in the unit that it is shown in."""
    factor = _axis(run, over).factor
    return Window(over, *(selectors.step_at(run, over, place / factor) for place in (first, last)))


def _over(run: Run, points: Series, window: Window) -> charts.Curve:
    return selectors.across(run, points, window.over), points.values.tolist()


def _figure(name: str, title: str, figure: Any, table: Any, drawn: selectors.Drawn) -> dict[str, Any]:
    """`finer`: there is more to see than is drawn, so whoever zooms in asks again."""
    finer = drawn.count > len(drawn.points)
    return {"id": f"run-{name}", "name": name, "title": title, "figure": figure, "table": table, "finer": finer}


def traces(run: Run, name: str, window: Window) -> list[dict[str, list[float | None]]]:
    """Only x and y of each trace of one figure, for a chart that is there already."""
    figures = run_figures(run, window, only=name)
    return [{"x": one["x"], "y": one["y"]} for figure in figures[:1] for one in figure["figure"]["data"]]


def samples(run: Run) -> list[dict[str, Any]]:
    """By prompt: what was asked, what the data says, and the answers, the newest first."""
    found: dict[int, dict[str, Any]] = {}
    for one in run.samples.order_by("row", "-step"):
        mine = found.setdefault(
            one.row, {"row": one.row, "prompt": one.prompt, "expected": one.expected, "answers": []}
        )
        mine["answers"].append(one)
    return list(found.values())
