"""What the page of a run shows while it runs, computed from rows alone: any viewer, any reload, sees the same."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from projects import jobs
from projects.domain.states import WAITS_FOR_PEOPLE, JobState
from projects.domain.waiting import Why
from projects.selectors import queue
from training.domain import ceiling, looks, metrics
from training.domain.failures import explain, shorten
from training.models import Run
from training.selectors import metrics as metering
from training.selectors import runs as reading

RECENT_POINTS = 50
LOG_BYTES = 16_000
SEARCHED_BYTES = 8_000_000
MOST_LINES = 300


# Tone and verdict of states that say all there is to say.
AT_REST = {
    JobState.DRAFT: ("waiting", "Not started yet."),
    JobState.HELD: ("attention", "Waiting for an owner's yes to its cost."),
    JobState.QUEUED: ("waiting", "Waiting for a worker."),
    JobState.CANCELLED: ("void", "Cancelled."),
}


@dataclass(frozen=True)
class Live:
    """Is it healthy, when does it end, what has it cost?"""

    run: Run
    tone: str
    verdict: str
    eta: metrics.Eta | None
    pace: float | None
    share: float | None  # of the tokens a second that the products of the model alone would leave its cards
    loss: float | None
    cost: Decimal
    elapsed: float
    validation: looks.Course | None = None
    overfits: str = ""  # in words, where it does
    waiting: Why | None = None

    @property
    def is_over(self) -> bool:
        return self.run.is_over


def live(run: Run, now: datetime) -> Live:
    loss_steps, losses = metering.drawn(run, "loss").points.lists()
    course = metering.validated([run]).get(run.pk)
    told = _overfits(run, course, loss_steps, losses)
    waiting = queue.reason(run) if run.state in {JobState.QUEUED, *WAITS_FOR_PEOPLE} else None
    tone, verdict = ("waiting", waiting.whole) if waiting else _verdict(run, losses)
    if told and tone == "succeeded":
        tone, verdict = "attention", "It learns its rows by heart: the validation loss rises."
    recent = _recent(run)
    end = run.finished_at or now
    pace = _median([row[2] for row in recent[-10:]])
    return Live(
        run=run,
        tone=tone,
        verdict=verdict,
        eta=_eta(run, [row[0] for row in recent], [row[1] for row in recent]),
        pace=pace,
        share=share_of_limit(run, pace),
        loss=losses[-1] if losses else None,
        cost=reading.cost_so_far(run, now),
        elapsed=(end - run.started_at).total_seconds() if run.started_at else 0.0,
        validation=course,
        overfits=told,
        waiting=waiting,
    )


def share_of_limit(run: Run, pace: float | None) -> float | None:
    """Of a pace in tokens a second; None on a CPU, and on cards whose limit is not known."""
    limit = ceiling.tokens_a_second(run.base.projection_shape, run.method, run.device_name, run.devices)
    return pace / limit if pace and limit else None


@dataclass(frozen=True)
class CardState:
    """One card of a run on several: how busy it is and what it holds while the run runs, and the most it has held."""

    number: int
    use: float | None
    memory_bytes: float | None
    peak_bytes: int | None


def cards(run: Run) -> list[CardState]:
    """Nothing for a run on one card, of which the figures say it all, and before anything is known."""
    if run.devices < 2:
        return []
    peaks = dict(enumerate(run.measured.get("memory_by_card") or [], start=1))
    now = {
        name: _newest_value(run, name)
        for number in range(1, run.devices + 1)
        for name in (f"device_use_{number}", f"memory_bytes_{number}")
        if run.state == JobState.RUNNING
    }
    found = [
        CardState(n, now.get(f"device_use_{n}"), now.get(f"memory_bytes_{n}"), peaks.get(n))
        for n in range(1, run.devices + 1)
    ]
    return found if peaks or any(value is not None for value in now.values()) else []


def _newest_value(run: Run, name: str) -> float | None:
    values = metering.newest(run, name, 1).values
    return float(values[-1]) if len(values) else None


def overfits(run: Run, course: looks.Course | None) -> str:
    """What is to be said of a run that learns its rows by heart; empty where it does not."""
    return _overfits(run, course, *metering.drawn(run, "loss").points.lists()) if course else ""


def _overfits(run: Run, course: looks.Course | None, steps: list[int], losses: list[float]) -> str:
    if course is None or not looks.overfitting(course, steps, losses):
        return ""
    return looks.warning(course, epochs=run.recipe.get("epochs", 1), total=run.total_steps)


def remaining(run: Run, now: datetime) -> float | None:
    """Seconds until a run is expected to end: at its pace, and before it has one as it was projected."""
    recent = _recent(run)
    eta = _eta(run, [row[0] for row in recent], [row[1] for row in recent])
    if eta is not None:
        return eta.middle
    projected = run.projection.get("seconds", {}).get("p50")
    if projected is None or run.started_at is None:
        return jobs.by_progress(run, now)
    return max(0.0, projected - (now - run.started_at).total_seconds())


def _recent(run: Run) -> list[tuple[int, float, float]]:
    """Step, seconds of training and pace of the newest points, the oldest of them first."""
    clock = dict(zip(*metering.newest(run, "seconds", RECENT_POINTS).lists(), strict=True))
    paces = metering.newest(run, "tokens_per_second", RECENT_POINTS)
    return [(step, clock[step], pace) for step, pace in zip(*paces.lists(), strict=True) if step in clock]


def _eta(run: Run, steps: list[int], seconds: list[float]) -> metrics.Eta | None:
    """Only of steps of the running attempt: an earlier one had its own clock."""
    if run.state != JobState.RUNNING or not run.total_steps:
        return None
    start = max((place for place in range(1, len(seconds)) if seconds[place] < seconds[place - 1]), default=0)
    found = metrics.eta(steps[start:], seconds[start:], run.total_steps)
    return found.and_then(_looks(run, found.middle)) if found else None


def _looks(run: Run, seconds: float) -> float:
    """What the looks at validation rows will take that are still to come; no step's time knows of them."""
    told = run.report.get("validation") or {}
    if not told.get("seconds"):
        return 0.0
    every = int(run.recipe.get("checkpoint_steps") or 0)
    spaced = looks.spacing(run.total_steps, told["run_tokens"], told["tokens"])
    return float(told["seconds"]) * looks.left(run.step, run.total_steps, every=every, seconds=seconds, spaced=spaced)


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def _verdict(run: Run, losses: list[float]) -> tuple[str, str]:
    if run.state in AT_REST:
        return AT_REST[JobState(run.state)]
    if run.state == JobState.FAILED:
        return "failed", explain(run.error_code).title
    if run.cancel_requested_at and run.state == JobState.RUNNING:
        return "attention", "Stopping: what can be saved is being saved."
    if run.pause_requested_at and run.state == JobState.RUNNING:
        return "attention", "Pausing: a checkpoint is being saved, then its place is free."
    return metrics.verdict(losses)


def log_tail(run: Run) -> str:
    """The end of the newest attempt's log, with this machine's paths shortened."""
    path = run.workdir / "engine.log"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_BYTES))
        text = file.read().decode("utf-8", "replace").replace("\x00", "")
    return _last_of_each_line(shorten(text))


@dataclass(frozen=True)
class Found:
    """Lines of a log by their number, the newest `MOST_LINES` of `count` that hold what was looked for."""

    lines: list[tuple[int, str]]
    count: int
    read_from: int  # bytes at the start that were not looked at, since the log is longer than is read at once


def log_search(run: Run, wanted: str) -> Found:
    """Lines of the newest attempt's log that hold a text, in any case of letters."""
    path = run.workdir / "engine.log"
    if not path.is_file():
        return Found([], 0, 0)
    with path.open("rb") as file:
        start = max(0, path.stat().st_size - SEARCHED_BYTES)
        file.seek(start)
        text = file.read(SEARCHED_BYTES).decode("utf-8", "replace").replace("\x00", "")
    lines = _last_of_each_line(shorten(text)).split("\n")
    needle = wanted.casefold()
    hits = [(number, line) for number, line in enumerate(lines, start=1) if needle in line.casefold()]
    return Found(hits[-MOST_LINES:], len(hits), start)


def _last_of_each_line(text: str) -> str:
    """Progress bars draw over themselves with carriage returns; only the last drawing is of use."""
    return "\n".join(line.rsplit("\r", 1)[-1] for line in text.splitlines())
