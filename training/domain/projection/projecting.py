"""A projection put together: guesses from the nearest measurement, bands from how good such guesses were."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from projects.domain import money
from training.domain.projection import estimate, footprint
from training.domain.projection.bands import Band, Guess
from training.domain.projection.calibration import QUANTITIES, Calibration
from training.domain.projection.measured import Measured, nearest
from training.domain.projection.plan import Plan

TOKEN_SIGMA = 0.003  # part of an epoch is a sample of the rows; what is left out shows only when rows are rendered


@dataclass(frozen=True)
class Projection:
    """All of it as it is shown, stored with the run, and held against what it came to."""

    device: str
    card: str
    rows: int
    steps: int
    tokens: int
    trained_tokens: int
    padding: float
    seconds: Band
    money: dict[str, str]
    currency: str
    token_band: Band
    memory_bytes: Band
    capacity_bytes: int
    disk_bytes: Band
    host_bytes: int  # of main memory, where the work is done on cards
    rate: float  # tokens a second while it trains, without padding
    source: str
    level: str
    why: str
    stages: dict[str, float]
    saves: int
    looks: int
    step: dict[str, float]
    guesses: dict[str, list[float]]
    plan: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def project(
    plan: Plan,
    *,
    measured: Sequence[Measured] = (),
    rehearsal: Measured | None = None,
    calibration: Calibration | None = None,
    hour_price: Decimal,
    currency: str,
    cached: float = 0.0,
) -> Projection:
    """The whole projection of a plan; `measured` comes newest first, `cached` is what is fetched to the worker."""
    near = nearest(plan, measured, rehearsal)
    took = estimate.time(plan, near, measured)
    guesses = {
        "seconds": took.whole,
        "memory_bytes": estimate.memory(plan, near),
        "disk_bytes": estimate.disk(plan, near, took, cached=cached),
        "tokens": Guess(max(plan.work.tokens, 1), TOKEN_SIGMA),
    }
    known, source = calibration or Calibration(), near.level.source
    bands = {name: known.band(guess, plan.device, source, name) for name, guess in guesses.items()}
    work, training = plan.work, took.stages["training"].middle
    return Projection(
        device=plan.device,
        card=plan.card,
        rows=work.rows,
        steps=work.steps,
        tokens=work.tokens,
        trained_tokens=work.trained_tokens,
        padding=work.padding,
        seconds=bands["seconds"],
        money=_money(bands["seconds"], plan.recipe.devices, hour_price),
        currency=currency,
        token_band=bands["tokens"],
        memory_bytes=bands["memory_bytes"],
        capacity_bytes=round(max((row.capacity for row in near.rows if row.plan.card == plan.card), default=0)),
        disk_bytes=bands["disk_bytes"],
        host_bytes=round(footprint.host(plan)),
        rate=work.tokens / training if training else 0.0,
        source=source,
        level=near.level.name,
        why=near.why,
        stages={name: guess.middle for name, guess in took.stages.items()},
        saves=took.saves,
        looks=took.looks,
        step=asdict(took.step),
        guesses={name: [guess.middle, guess.sigma] for name, guess in guesses.items()},
        plan=plan.as_dict(),
    )


def _money(seconds: Band, cards: int, hour_price: Decimal) -> dict[str, str]:
    return {name: str(cost(value * cards, hour_price)) for name, value in asdict(seconds).items()}


def cost(seconds: float, hour_price: Decimal) -> Decimal:
    """As finely as the ledger books, since the two are compared."""
    return money.amount(money.hours(seconds), hour_price)


def predicted(projection: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The bands of a stored projection with the guesses they were made from, by quantity."""
    guesses = projection.get("guesses") or {}
    found = {}
    for quantity in QUANTITIES:
        band = projection.get("token_band" if quantity == "tokens" else quantity)
        middle, sigma = guesses.get(quantity) or (0.0, 0.0)
        if isinstance(band, Mapping):
            found[quantity] = {name: float(band[name]) for name in ("p10", "p50", "p90")} | {
                "middle": middle,
                "sigma": sigma,
            }
    return found


def compare(projection: Mapping[str, Any], measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Predicted against actual: for each figure the band, what it came to, and if it lay inside."""
    rows = []
    for name, band in predicted(projection).items():
        actual = measured.get(name)
        if actual is None:
            continue
        low, middle, high = band["p10"], band["p50"], band["p90"]
        rows.append(
            {
                "name": name,
                "label": QUANTITIES[name],
                "p10": low,
                "p50": middle,
                "p90": high,
                "actual": float(actual),
                "inside": low <= float(actual) <= high,
            }
        )
    return rows
