"""Guesses of time, memory and disk for a plan, from the nearest that was measured."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from training.domain import looks
from training.domain.pace import PLAYED
from training.domain.projection import fitting, footprint
from training.domain.projection.bands import Guess, total
from training.domain.projection.formula import FORWARD_AND_BACK, StepTime
from training.domain.projection.measured import REHEARSED, Measured, Nearest
from training.domain.projection.plan import Plan
from training.domain.recipe import Method
from training.domain.sharing import EFFICIENCY

PRIOR_RUNS = 3  # what the spread of a level counts against the runs that were seen
STAGE_SIGMA = {True: 0.25, False: 0.7}  # measured or not
BEYOND = 0.15  # more doubt for each doubling beyond the sizes that were measured

# Stages besides the steps, by formula: seconds of an empty one, and how they grow.
START = {"cpu": 1.0, "cuda": 0.7}
LOAD = {"cpu": (6.0, 1e9), "cuda": (12.0, 2e9)}
WARM_UP = {"cpu": 0.2, "cuda": 2.0}
ANSWER_TOKENS = 64  # of a sample, whose prompts are answered side by side
LAYER_SECONDS = {"cpu": 0.0005, "cuda": 0.0027}  # of a token of an answer whose kernels are launched one by one
LAUNCHED, PLAYED_SECONDS = 4, 0.0002  # tokens before an answer is played from a record, and then a layer's seconds
WEIGHTS_A_SECOND = 2e12  # bytes that a card reads for each token
SAMPLE_SECONDS = 10.0  # at most
READY = 0.4  # of a rehearsal's warm-up is left for the run after it, where both were measured
DISK_BYTES_A_SECOND = 2e8
TOKENS_A_SECOND = 2.5e5


def _weights(plan: Plan) -> float:
    return plan.shape.parameters * (2 if plan.device == "cuda" else 4)


def _reference(plan: Plan) -> float:
    """Both answers of every pair once forward, where the fast pass does that before the first step."""
    if not plan.refers_first or not plan.work.tokens:
        return 0.0
    return _forward(plan, plan.work.epoch_tokens)


def _forward(plan: Plan, tokens: float, step: StepTime | None = None) -> float:
    """So many tokens of its rows once through the model, without gradients; by the pace of its steps where given."""
    work = plan.work
    if not work.tokens:
        return 0.0
    whole = work.steps * (step or plan.formula).seconds(work.batches, work.padded, work.square)
    return whole * tokens / work.tokens / (FORWARD_AND_BACK + plan.pace.recompute)


def _sample(plan: Plan) -> float:
    """Answers to all prompts at once."""
    launched = plan.shape.layers * LAYER_SECONDS[plan.device]
    if plan.device != "cuda" or plan.architecture not in PLAYED or plan.pace.sharded or plan.recipe.four_bit:
        return ANSWER_TOKENS * launched
    played = plan.shape.layers * PLAYED_SECONDS + _weights(plan) / WEIGHTS_A_SECOND
    return LAUNCHED * launched + (ANSWER_TOKENS - LAUNCHED) * played


STAGES: dict[str, Callable[[Plan], float]] = {
    "starting": lambda plan: START[plan.device],
    "preparing": lambda plan: 0.1 + plan.work.epoch_tokens / TOKENS_A_SECOND,
    "loading": lambda plan: LOAD[plan.device][0] + _weights(plan) / LOAD[plan.device][1],
    "warm_up": lambda plan: WARM_UP[plan.device],
    "reference": _reference,
    "sample": lambda plan: min(SAMPLE_SECONDS, _sample(plan)),
    "look": lambda plan: _forward(plan, plan.look_tokens),
    "checkpoint": lambda plan: 0.1 + footprint.checkpoint(plan.shape, plan.recipe) / DISK_BYTES_A_SECOND,
    "saving": lambda plan: 0.1 + footprint.adapter(plan.shape, plan.recipe) / DISK_BYTES_A_SECOND,
    "closing": lambda plan: 0.7,
}


@dataclass(frozen=True)
class Time:
    step: StepTime
    saves: int
    looks: int  # at validation rows
    stages: Mapping[str, Guess]  # “training” and the stages around it, all saves together

    @property
    def whole(self) -> Guess:
        return total(self.stages.values())


def time(plan: Plan, near: Nearest, measured: Sequence[Measured]) -> Time:
    """Seconds of every stage. What surrounds the steps is read off any run on the same device."""
    step, sigma = _step(plan, near)
    work = plan.work
    training = Guess(work.steps * step.seconds(work.batches, work.padded, work.square), sigma)
    saves = footprint.saves(plan.recipe, work, training.middle)
    around = [*near.rows, *(row for row in measured if row.plan.device == plan.device)]
    stages = {name: _stage(name, plan, around) for name in STAGES}
    save, sample, look = stages.pop("checkpoint"), stages.pop("sample"), stages.pop("look")
    if near.rows and not any(_is_known(row, "look") for row in around):
        look = Guess(_forward(plan, plan.look_tokens, step), look.sigma)
    stages |= {"training": training, "checkpoints": save.times(saves)}
    # The first before, the last after all steps.
    stages |= {"samples": sample.times(2 + saves)}
    number = _looks(plan, training.middle)
    if number:  # of pairs the reference reads them as well, once
        stages["validation"] = look.times(number + (plan.recipe.method == Method.DPO))
    return Time(step, saves, number, stages)


def _looks(plan: Plan, seconds: float) -> int:
    """The first, and all that are still to come then; 0 without validation data."""
    if not plan.look_tokens:
        return 0
    work, every = plan.work, plan.recipe.checkpoint_steps
    spaced = looks.spacing(work.steps, work.tokens, plan.look_tokens)
    return 1 + looks.left(0, work.steps, every=every, seconds=seconds, spaced=spaced)


def _step(plan: Plan, near: Nearest) -> tuple[StepTime, float]:
    if not near.rows:
        return plan.formula, near.level.sigma
    if near.level.fits:
        step = fitting.fit([row.points for row in near.rows], plan.formula)
        errors = [math.log(fitting.scale(row.points, step)) for row in near.rows]
        if plan.recipe.devices > 1 and near.level is REHEARSED:  # on one card, with the rows that it will have
            step = step.times(1 / EFFICIENCY)
        return step, _spread(errors, near.level.sigma) + _beyond(plan, near.rows)
    factors = [fitting.scale(row.points, row.plan.formula) for row in near.rows]
    middle = statistics.median(factors)
    errors = [math.log(factor / middle) for factor in factors]
    return plan.formula.times(middle), _spread(errors, near.level.sigma)


def _spread(errors: Sequence[float], sigma: float) -> float:
    """The spread of the level, and more and more that of the runs that were seen."""
    if len(errors) < 2:
        return sigma
    square = PRIOR_RUNS * sigma**2 + sum(error**2 for error in errors)
    return math.sqrt(square / (PRIOR_RUNS + len(errors) - 1))


def _beyond(plan: Plan, rows: Sequence[Measured]) -> float:
    """Steps larger or smaller than any that was measured are a guess again."""
    sizes = [point.padded / max(point.batches, 1) for row in rows for point in row.points]
    size = plan.work.padded / max(plan.work.batches, 1)
    if not sizes or size <= 0:
        return 0.0
    outside = max(size / max(sizes), min(sizes) / size, 1.0)
    return BEYOND * math.log2(outside)


def _stage(name: str, plan: Plan, rows: Sequence[Measured]) -> Guess:
    """By formula, times what the measured ones took against theirs; those with the same base first."""
    usual = STAGES[name](plan)
    known = [row for row in rows if _is_known(row, name) and STAGES[name](row.plan)]
    if name == "sample" and known and known[0].rehearsal and known[0] is rows[0]:
        known = known[:1]  # these very rows, which may ask nothing
    own = [row for row in known if row.plan.fingerprint == plan.fingerprint and row.plan.card == plan.card]
    chosen = (own or known)[:10]
    if not chosen:
        return Guess(usual, STAGE_SIGMA[False])
    ratio = statistics.median(_took(row, name) / STAGES[name](row.plan) for row in chosen)
    # One look at a stage says little: the first process on a machine reads every library from its disk.
    known_sigma = STAGE_SIGMA[True] * math.sqrt(1 + 2 / len(chosen)) / math.sqrt(1.5)
    return Guess(usual * ratio, known_sigma if own else (STAGE_SIGMA[True] + STAGE_SIGMA[False]) / 2)


def _is_known(row: Measured, name: str) -> bool:
    """No seconds are none measured, but for samples, of which some data have none."""
    return name in row.stages if name == "sample" else bool(row.stages.get(name))


def _took(row: Measured, name: str) -> float:
    """What a rehearsal compiles in its first steps, the run finds ready."""
    return row.stages[name] * (READY if row.rehearsal and name == "warm_up" else 1.0)


def memory(plan: Plan, near: Nearest) -> Guess:
    """Peak bytes: of a rehearsal by the size of its steps; else the formula, times what the nearest took against it.

    Which rows meet in the widest batch is chance, so its spread from shuffle to shuffle is part of the doubt.
    """
    chance = plan.work.widest_spread * footprint.growing(plan)
    if near.level.source == "rehearsed" and len({tokens for tokens, _ in near.rows[0].peaks}) > 1:
        middle, sigma = _by_size(near.rows[0].peaks, footprint.at_once(plan)), near.level.memory_sigma
    else:
        middle, sigma = _by_ratio(plan, near)
    return Guess(middle, math.hypot(sigma, chance))


def _by_ratio(plan: Plan, near: Nearest) -> tuple[float, float]:
    usual = footprint.memory(plan)
    ratios = [row.memory_bytes / footprint.memory(row.plan) for row in near.rows if row.memory_bytes]
    if not ratios:
        return usual, near.level.memory_sigma
    middle = statistics.median(ratios)
    return usual * middle, _spread([math.log(ratio / middle) for ratio in ratios], near.level.memory_sigma)


def _by_size(peaks: Sequence[tuple[float, float]], tokens: float) -> float:
    """On the line through the peaks of single steps (least squares); memory does not fall with size."""
    mean_x, mean_y = (statistics.fmean(values) for values in zip(*peaks, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in peaks)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in peaks) / spread
    return mean_y + slope * (tokens - mean_x) if slope > 0 else max(peak for _, peak in peaks)


def disk(plan: Plan, near: Nearest, took: Time, *, cached: float = 0.0) -> Guess:
    """Bytes on the worker at the fullest moment: checkpoints, the adapter in its folder and in the store, the cache."""
    rows = [row for row in near.rows if row.plan.fingerprint == plan.fingerprint]
    save = _stored(plan, rows, "save_bytes", footprint.checkpoint)
    made = _stored(plan, rows, "adapter_bytes", footprint.adapter)
    at = [_held(plan, took.whole.at(z)) for z in (-1.28, 0.0, 1.28)]
    low, middle, high = (held * save + 2 * made + cached for held in at)
    known = 0.03 if rows else 0.4
    return Guess(middle, known + math.log(high / low) / 2.56)


def _held(plan: Plan, seconds: float) -> int:
    return min(footprint.CHECKPOINTS_HELD, footprint.saves(plan.recipe, plan.work, seconds))


def _stored(plan: Plan, rows: Sequence[Measured], name: str, usual: Callable[..., float]) -> float:
    """Bytes by the formula, and by how much others were beside it: tokenizer and card are the same whatever the rank

    is, and the weights themselves are known. What was far smaller than them is no such thing, and says little.
    """
    known = usual(plan.shape, plan.recipe)
    beside = [getattr(row, name) - usual(row.plan.shape, row.plan.recipe) for row in rows if getattr(row, name)]
    return max(known / 4, known + statistics.median(beside)) if beside else known
