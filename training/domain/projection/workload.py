"""What a run has to do: its steps, and how much padding stands in its batches, from the lengths of the rows."""

import math
from bisect import bisect_left, insort
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from training.domain.pace import Pace
from training.domain.recipe import Method, Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Lengths: TypeAlias = NDArray[Any]

PACKED_TOGETHER = 1000  # rows that the packer sees at a time
PACKED_SAMPLES = 8
GROUPED = 50  # batches in a group of rows that the trainer sorts by length
DRAWN_RUNS, DRAWN_EPOCHS = 9, 3  # shuffled to see how wide the widest batch of a run will be
RANGE = 2.97  # of nine normal draws in standard deviations (Tippett 1925)
LARGE = 20_000  # rows beyond which one shuffle says enough
MOST_ROWS = 200_000  # drawn from; a larger set has the same mean


@dataclass(frozen=True)
class Workload:
    """Per step and card: batches (or passes), padded tokens, and the sum of rows × length² that attention pays for."""

    rows: int  # of one epoch
    sequences: int  # of one epoch, after packing; a preference pair is one
    steps: int
    epoch_tokens: int
    tokens: int  # of the whole run, without padding
    trained_tokens: int
    batches: float
    padded: float
    square: float
    widest_rows: int  # the batch that takes most memory
    widest_length: int
    widest_spread: float  # of its logarithm, from run to run
    longest: int
    devices: int = 1  # cards that share a step

    @property
    def padding(self) -> float:
        """Share of the computed tokens that are padding."""
        real = self.tokens / max(self.steps, 1)
        return max(0.0, 1 - real / (self.padded * self.devices)) if self.padded else 0.0

    @property
    def length(self) -> float:
        """Mean padded length of a sequence."""
        return self.square / self.padded if self.padded else 0.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def of_lengths(lengths: "Lengths", recipe: Recipe, pace: Pace, *, epoch_tokens: int, trained_tokens: int) -> Workload:
    """`lengths` are those of the rows as they will be trained on, of a pair its longer sequence. Deterministic."""
    import numpy as np

    rows = len(lengths)
    if not rows:
        return Workload(0, 0, 1, 0, 0, 0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0)
    pool, sequences = pack(lengths, recipe.max_length) if recipe.packing else (lengths, rows)
    rng = np.random.default_rng(0)
    if len(pool) > MOST_ROWS:
        pool = rng.choice(pool, MOST_ROWS, replace=False)
    runs = [_drawn(pool, recipe, pace, rng) for _ in range(1 if len(pool) > LARGE else DRAWN_RUNS)]
    answers = _answers(lengths, recipe, pace, epoch_tokens)
    runs = [(counts, widths * answers) for counts, widths in runs]
    runs = [_on_one(*one, recipe, pace) for one in runs]
    counts, widths = (np.concatenate(parts) for parts in zip(*runs, strict=True))
    padded = counts * widths
    widest = sorted((_widest(*one) for one in runs), key=math.prod)
    square = padded * (_square_share(lengths) if pace.path == "fast" else widths)
    batches = math.ceil(sequences / pace.rows)
    epoch = math.ceil(batches / pace.accumulation)
    steps, each = max(1, math.ceil(recipe.epochs * epoch)), batches / epoch
    return Workload(
        rows=rows,
        sequences=sequences,
        steps=steps,
        epoch_tokens=epoch_tokens,
        tokens=round(epoch_tokens * steps / epoch),
        trained_tokens=round(trained_tokens * recipe.epochs),
        batches=float(np.ceil(padded / pace.tokens).mean()) if pace.tokens else each,
        padded=float(padded.mean()) * each,
        square=float(square.mean()) * each,
        widest_rows=widest[len(widest) // 2][0],
        widest_length=widest[len(widest) // 2][1],
        widest_spread=math.log(math.prod(widest[-1]) / math.prod(widest[0])) / RANGE,
        longest=math.ceil(lengths.max() * answers),
        devices=recipe.devices,
    )


def _on_one(counts: "Lengths", widths: "Lengths", recipe: Recipe, pace: Pace) -> tuple["Lengths", "Lengths"]:
    """What one of several cards has of each batch: fewer rows, or of a row without padding a part."""
    if recipe.devices == 1:
        return counts, widths
    if recipe.packing or pace.path == "fast":
        return counts, widths / recipe.devices
    return counts / recipe.devices, widths


def _answers(lengths: "Lengths", recipe: Recipe, pace: Pace, epoch_tokens: int) -> float:
    """Tokens of a pair against those of its longer sequence, where both lie in one row: between one and two."""
    if recipe.method != Method.DPO or pace.path != "fast":
        return 1.0
    return float(min(2.0, max(1.0, epoch_tokens / lengths.sum())))


def _drawn(pool: "Lengths", recipe: Recipe, pace: Pace, rng: Any) -> tuple["Lengths", "Lengths"]:
    """Rows and lengths of the batches of a run of so many epochs, drawn as the trainer draws them."""
    import numpy as np

    epochs = range(min(DRAWN_EPOCHS, math.ceil(recipe.epochs)))
    parts = [_batches(_in_order(rng.permutation(pool), pace), recipe, pace) for _ in epochs]
    counts, widths = zip(*parts, strict=True)
    return np.concatenate(counts), np.concatenate(widths)


def _widest(counts: "Lengths", widths: "Lengths") -> tuple[int, int]:
    at = int((counts * widths).argmax())
    return math.ceil(counts[at]), math.ceil(widths[at])


def _square_share(lengths: "Lengths") -> float:
    """Where each row only sees itself: the mean length that a token sees."""
    return float((lengths.astype(float) ** 2).sum() / lengths.sum())


def _in_order(order: "Lengths", pace: Pace) -> "Lengths":
    """A shuffled epoch as the trainer takes it: rows of like length may be put together within large groups."""
    import numpy as np

    if not pace.by_length:
        return order
    group = max(1, min(len(order) // (pace.rows * 4), GROUPED)) * pace.rows
    parts = [order[at : at + group] for at in range(0, len(order), group)]
    return np.concatenate([np.sort(part)[::-1] for part in parts])


def _batches(order: "Lengths", recipe: Recipe, pace: Pace) -> tuple["Lengths", "Lengths"]:
    """Rows and padded length of each batch; without padding all of a batch lies in one row."""
    import numpy as np

    missing = -len(order) % pace.rows
    table = np.pad(order.astype(np.int64), (0, missing)).reshape(-1, pace.rows)
    if recipe.packing or pace.path == "fast":
        return np.ones(len(table), np.int64), table.sum(axis=1)
    counts: Any = np.full(len(table), pace.rows, np.int64)
    counts[-1] -= missing
    return counts * (2 if recipe.method == Method.DPO else 1), table.max(axis=1)


def pack(lengths: "Lengths", limit: int) -> tuple["Lengths", int]:
    """Lengths of the packed sequences of a sample, and how many there are in all."""
    import numpy as np

    rows = len(lengths)
    groups = math.ceil(rows / PACKED_TOGETHER)
    chosen = np.unique(np.linspace(0, groups - 1, min(groups, PACKED_SAMPLES)).round().astype(int))
    parts = [lengths[at * PACKED_TOGETHER : (at + 1) * PACKED_TOGETHER] for at in chosen]
    packed = [best_fit(part.tolist(), limit) for part in parts]
    seen = sum(len(part) for part in parts)
    found = np.array([length for part in packed for length in part], np.int64)
    return found, max(1, round(len(found) * rows / seen))


def best_fit(lengths: list[int], limit: int) -> list[int]:
    """Best fit decreasing, as the packer does it: each row goes where it leaves the least room."""
    room: list[int] = []  # free tokens of the open sequences, in order
    for length in sorted((min(length, limit) for length in lengths if length), reverse=True):
        place = bisect_left(room, length)
        left = room.pop(place) if place < len(room) else limit
        insort(room, left - length)
    return [limit - left for left in room]
