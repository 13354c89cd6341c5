"""Do two people who look at the same rows say the same, and by more than chance? Cohen's kappa."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Z = 1.959964  # two-sided 95 %
FEW = 30  # pairs below which an interval says more about luck than about people
# Landis and Koch 1977, table 2: the upper end of each band and its word.
BANDS = ((0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"), (1.0, "almost perfect"))


@dataclass(frozen=True)
class Agreement:
    """Agreement over `pairs` rows. `kappa` is None where it is not defined; `low` and `high` are its 95 % interval."""

    pairs: int
    same: int
    verdicts: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]  # first look by second look, in the order of `verdicts`
    chance: float
    kappa: float | None
    low: float | None
    high: float | None

    @property
    def raw(self) -> float | None:
        return self.same / self.pairs if self.pairs else None

    @property
    def is_thin(self) -> bool:
        return 0 < self.pairs < FEW

    @property
    def reading(self) -> str:
        """The usual word for this kappa (Landis and Koch 1977), or why there is none."""
        if not self.pairs:
            return "nothing to compare yet"
        if self.kappa is None:
            return "not defined: everybody gave the same verdict, so chance alone would agree as often"
        if self.kappa < 0:
            return "less than chance"
        return next(word for top, word in BANDS if self.kappa <= top + 1e-12)


def agreement(pairs: Iterable[tuple[str, str]], verdicts: Sequence[str]) -> Agreement:
    """Raw agreement and Cohen's kappa of (first, second) verdicts on the same rows (Cohen 1960).

    Raises ValueError for a verdict that is not among `verdicts`.
    """
    counts = Counter(pairs)
    strange = {verdict for pair in counts for verdict in pair} - set(verdicts)
    if strange:
        raise ValueError(f"unknown verdicts: {', '.join(sorted(strange))}")
    table = tuple(tuple(counts[first, second] for second in verdicts) for first in verdicts)
    n = counts.total()
    same = sum(table[at][at] for at in range(len(verdicts)))
    if not n:
        return Agreement(0, 0, tuple(verdicts), table, 0.0, None, None, None)
    shares = [[count / n for count in row] for row in table]
    rows = [sum(row) for row in shares]
    columns = [sum(column) for column in zip(*shares, strict=True)]
    chance = sum(row * column for row, column in zip(rows, columns, strict=True))
    if math.isclose(chance, 1.0):
        return Agreement(n, same, tuple(verdicts), table, chance, None, None, None)
    kappa = (same / n - chance) / (1 - chance)
    low, high = _interval(kappa, same == n, n, shares, rows, columns, chance)
    return Agreement(n, same, tuple(verdicts), table, chance, kappa, low, high)


def _interval(
    kappa: float,
    perfect: bool,
    n: int,
    shares: list[list[float]],
    rows: list[float],
    columns: list[float],
    chance: float,
) -> tuple[float, float]:
    """95 % by the large-sample variance of Fleiss, Cohen and Everitt (1969).

    Where all pairs agree that variance is zero, which would be certainty after two rows. There the lower end comes
    from the exact lower bound of the raw agreement (Clopper and Pearson 1934: 0.025 to the power of 1/n).
    """
    if perfect:
        return max(-1.0, (0.025 ** (1 / n) - chance) / (1 - chance)), 1.0
    spread = math.sqrt(max(0.0, _variance(kappa, n, shares, rows, columns, chance)))
    return max(-1.0, kappa - Z * spread), min(1.0, kappa + Z * spread)


def _variance(
    kappa: float, n: int, shares: list[list[float]], rows: list[float], columns: list[float], chance: float
) -> float:
    places = range(len(rows))
    agreeing = sum(shares[i][i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in places)
    differing = sum(shares[i][j] * (columns[i] + rows[j]) ** 2 for i in places for j in places if i != j)
    offset = (kappa - chance * (1 - kappa)) ** 2
    return (agreeing + (1 - kappa) ** 2 * differing - offset) / (n * (1 - chance) ** 2)
