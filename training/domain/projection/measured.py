"""What earlier runs and rehearsals took, and which of them are most like the one being planned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from training.domain.pace import Pace
from training.domain.projection.plan import Plan
from training.domain.projection.points import Point
from training.domain.recipe import Method

NEWEST = 20  # of the most alike; older ones were run with other versions of everything


@dataclass(frozen=True)
class Measured:
    """One run or rehearsal on one device, as rates: whose it was and what it trained on is not in it."""

    plan: Plan
    points: tuple[Point, ...]
    stages: Mapping[str, float]  # seconds by stage, and of one save
    memory_bytes: float
    save_bytes: float = 0
    adapter_bytes: float = 0
    capacity: float = 0
    rehearsal: bool = False
    peaks: tuple[tuple[float, float], ...] = ()  # of single steps: tokens of the widest pass, bytes

    @classmethod
    def read(cls, plan: Mapping[str, Any], told: Mapping[str, Any], *, rehearsal: bool = False) -> "Measured":
        """From what the engine said at the end of a run; older engines said less."""
        points = tuple(Point.read(raw) for raw in told.get("points") or [])
        met = _as_it_was(Plan.read(plan), told)
        return cls(
            plan=met,
            points=points,
            stages=_stages(told, points, met),
            memory_bytes=float(told.get("memory_bytes") or 0),
            save_bytes=float(told.get("save_bytes") or 0),
            adapter_bytes=float(told.get("adapter_bytes") or 0),
            capacity=float(told.get("capacity") or 0),
            rehearsal=rehearsal,
            peaks=tuple((float(tokens), float(peak)) for tokens, peak in told.get("peaks") or []),
        )


def _as_it_was(plan: Plan, told: Mapping[str, Any]) -> Plan:
    """What the engine decided and met, where the plan could only expect it."""
    if told.get("pace"):
        names = {one.name for one in fields(Pace)} - {"reasons"}
        decided = {name: value for name, value in told["pace"].items() if name in names}
        plan = replace(plan, pace=replace(plan.pace, **decided))
    if told.get("widest"):
        rows, length = told["widest"]
        plan = replace(plan, work=replace(plan.work, widest_rows=int(rows), widest_length=int(length)))
    if told.get("epoch_tokens"):  # a rehearsal reads some of the rows
        plan = replace(plan, work=replace(plan.work, epoch_tokens=int(told["epoch_tokens"])))
    return plan


def _stages(told: Mapping[str, Any], points: Sequence[Point], plan: Plan) -> dict[str, float]:
    """Seconds by stage; what training took besides its usual steps and its saves is the warm-up.

    The reference may have read some of the tokens only: a rehearsal stops, an attempt finds what one before it kept.
    """
    stages = {name: float(value) for name, value in (told.get("stages") or {}).items()}
    asked = float(told.get("sample_seconds") or 0)
    between = asked - stages.pop("samples", 0.0)  # at checkpoints, which lie among the steps
    took, read = stages.pop("reference", 0.0), float(told.get("reference_tokens") or 0)
    if read:
        stages["reference"] = took * plan.work.epoch_tokens / read
    if points and "training" in stages:
        usual = sum(point.seconds * point.steps for point in points) / sum(point.steps for point in points)
        rest = stages["training"] - usual * int(told["measured_steps"]) - float(told.get("save_seconds") or 0)
        rest -= max(0.0, between)
        stages["warm_up"] = max(0.0, rest)
    if told.get("saves"):
        stages["checkpoint"] = float(told["save_seconds"]) / int(told["saves"])
    if told.get("samples_taken") is not None:  # none where rows ask nothing; engines before did not count them
        stages["sample"] = asked / max(int(told["samples_taken"]), 1)
    stages.pop("validation", None)
    if told.get("looks"):  # of pairs the reference has read the rows as well
        stages["look"] = float(told["look_seconds"]) / (int(told["looks"]) + (plan.recipe.method == Method.DPO))
    return stages


@dataclass(frozen=True)
class Level:
    """How alike is alike enough, how far apart such runs lie, and how a person is told."""

    name: str
    source: str
    sigma: float
    memory_sigma: float
    alike: Callable[[Plan, Plan], bool]
    words: str
    fits: bool = False  # alike enough to fit seconds to the very sizes of the steps


def _card(plan: Plan, other: Plan) -> bool:
    return plan.device == other.device and (plan.card == other.card or not plan.card)


def _cards(plan: Plan, other: Plan) -> bool:
    return (plan.recipe.devices, plan.pace.sharded) == (other.recipe.devices, other.pace.sharded)


def _base(plan: Plan, other: Plan) -> bool:
    return _cards(plan, other) and _rehearsed(plan, other)


def _rehearsed(plan: Plan, other: Plan) -> bool:
    same = plan.fingerprint == other.fingerprint and plan.recipe.four_bit == other.recipe.four_bit
    return same and _card(plan, other) and _method(plan, other)


def _method(plan: Plan, other: Plan) -> bool:
    first, second = ((one.recipe.method, one.recipe.packing, one.pace.path) for one in (plan, other))
    return first == second


def _same(plan: Plan, other: Plan) -> bool:
    like = plan.bucket == other.bucket and plan.recipe.batch_size == other.recipe.batch_size
    return like and _base(plan, other)


def _family(plan: Plan, other: Plan) -> bool:
    alike = plan.architecture == other.architecture and _cards(plan, other)
    return alike and _method(plan, other) and _card(plan, other)


LEVELS = (
    Level("same", "measured", 0.12, 0.05, _same, "with this base, method, batch and rows of like length", True),
    Level("base", "measured", 0.16, 0.08, _base, "with this base and method, other lengths or batches", True),
    Level("cards", "scaled", 0.25, 0.12, _rehearsed, "with this base and method on another number of cards"),
    Level("family", "scaled", 0.3, 0.15, _family, "with other sizes of this architecture"),
    Level("card", "scaled", 0.4, 0.2, _card, "with other models or methods"),
    Level("kind", "scaled", 0.6, 0.25, lambda plan, other: plan.device == other.device, "on other devices"),
)
REHEARSED = Level("rehearsed", "rehearsed", 0.1, 0.03, _base, "", True)
FORMULA = Level("formula", "formula", 0.9, 0.35, lambda plan, other: False, "")


@dataclass(frozen=True)
class Nearest:
    level: Level
    rows: tuple[Measured, ...]

    @property
    def why(self) -> str:
        if self.level is REHEARSED:
            steps = sum(point.steps for point in self.rows[0].points)
            return f"Rehearsed: {steps} real steps of exactly this run, the longest rows first."
        if self.level is FORMULA:
            return (
                "No run on this kind of device has been measured here yet, so this is a formula from the model's size. "
                "The band is wide; a rehearsal narrows it."
            )
        count = f"{len(self.rows)} measured run{'s' if len(self.rows) > 1 else ''}"
        if self.level.source == "measured":
            return f"Measured: {count} {self.level.words}."
        return f"Scaled by model size and length from {count} {self.level.words}; a rehearsal narrows the band."


def nearest(plan: Plan, measured: Sequence[Measured], rehearsal: Measured | None = None) -> Nearest:
    """The most alike that there are, the newest first; `measured` comes newest first."""
    if rehearsal is not None and rehearsal.points:
        return Nearest(REHEARSED, (rehearsal,))
    for level in LEVELS:
        rows = [row for row in measured if row.points and level.alike(plan, row.plan)]
        if rows:
            return Nearest(level, tuple(rows[:NEWEST]))
    return Nearest(FORMULA, ())
