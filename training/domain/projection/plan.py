"""A run that could be: all that its projection depends on, and nothing that says whose it is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from training.domain.pace import Card, Pace, decide, obstacle
from training.domain.projection.formula import Shape, StepTime, step_time
from training.domain.projection.workload import Workload, of_lengths
from training.domain.recipe import Method, Recipe
from training.domain.sharing import EFFICIENCY

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The knobs that a projection depends on.
KNOBS = (
    "method",
    "rank",
    "target_modules",
    "batch_size",
    "accumulation",
    "max_length",
    "packing",
    "four_bit",
    "pace",
    "recompute",
    "checkpoint_steps",
    "devices",
    "sharding",
)


@dataclass(frozen=True)
class Plan:
    device: str  # "cpu" or "cuda"
    card: str  # the device's name, as the engine gives it; empty where it is not known yet
    architecture: str
    fingerprint: str  # of the base; only ever compared, never shown
    shape: Shape
    recipe: Recipe
    pace: Pace  # as the engine will decide, given this card
    work: Workload
    look_tokens: int = 0  # of one look at validation rows; 0 where there are none

    @property
    def bucket(self) -> int:
        """Rows of like length are in one bucket: each is twice as long as the one before."""
        return max(0, round(self.work.length)).bit_length()

    @property
    def refers_first(self) -> bool:
        """Does the reference of DPO read all pairs before the first step?"""
        return self.recipe.method == Method.DPO and self.pace.path == "fast"

    @property
    def formula(self) -> StepTime:
        step = step_time(self.shape, self.recipe.method, self.device, self.pace)
        return step if self.recipe.devices == 1 else step.times(1 / EFFICIENCY)

    def as_dict(self) -> dict[str, Any]:
        """As it is stored with a run and its record."""
        recipe = self.recipe.as_dict()
        return {
            "device": self.device,
            "card": self.card,
            "architecture": self.architecture,
            "fingerprint": self.fingerprint,
            "shape": self.shape.as_dict(),
            "recipe": {name: recipe[name] for name in KNOBS},
            "pace": self.pace.as_dict() | {"reasons": []},
            "work": asdict(self.work),
            **({"look_tokens": self.look_tokens} if self.look_tokens else {}),
        }

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Plan":
        return cls(
            device=raw["device"],
            card=raw["card"],
            architecture=raw["architecture"],
            fingerprint=raw["fingerprint"],
            shape=Shape.read(raw["shape"]),
            recipe=Recipe.read(raw["recipe"]),
            pace=Pace(**(raw["pace"] | {"reasons": ()})),
            work=Workload(**raw["work"]),
            look_tokens=int(raw.get("look_tokens") or 0),
        )


def make(
    *,
    device: str,
    card: str,
    capacity: int,
    architecture: str,
    fingerprint: str,
    shape: Shape,
    recipe: Recipe,
    lengths: "NDArray[Any]",
    epoch_tokens: int,
    trained_tokens: int,
) -> Plan:
    """The plan of rows of these lengths; `capacity` is the card's memory, 0 when it is not known."""
    known = Card(device, capacity if device == "cuda" else 0, "varlen" if device == "cuda" else "sdpa")
    longest = recipe.max_length if recipe.packing or not len(lengths) else int(lengths.max())
    answers = 2 if recipe.method == Method.DPO else 1
    pace = decide(recipe, known, shape.widths(), answers * longest, obstacle(architecture, recipe))
    work = of_lengths(lengths, recipe, pace, epoch_tokens=epoch_tokens, trained_tokens=trained_tokens)
    return Plan(device, card, architecture, fingerprint, shape, recipe, pace, work)
