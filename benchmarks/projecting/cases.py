"""What is run on a card: shapes of models, and the runs in their order."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from benchmarks.training_speed.shapes import Shape


def _qwen(hidden: int, inner: int, layers: int, heads: int, vocab: int) -> Shape:
    return Shape(
        "Qwen2",
        {
            "hidden_size": hidden,
            "intermediate_size": inner,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": 2,
            "vocab_size": vocab,
            "tie_word_embeddings": True,
        },
    )


SHAPES = {
    "0.1B": _qwen(512, 2048, 12, 8, 65_536),
    "0.5B": _qwen(896, 4864, 24, 14, 151_936),
    "1.5B": _qwen(1536, 8960, 28, 12, 151_936),
}
TINY = {name: _qwen(32 * size, 64 * size, 2, 4, 512) for size, name in enumerate(SHAPES, start=1)}


@dataclass(frozen=True)
class Case:
    name: str
    shape: str
    steps: int
    median: int  # tokens of a row, log-normal
    recipe: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("0.1B SFT, short", "0.1B", 80, 250, {"batch_size": 16}),
    Case("0.5B SFT, short", "0.5B", 60, 250, {"batch_size": 16}),
    Case("0.5B SFT, long, packed", "0.5B", 50, 900, {"batch_size": 8, "packing": True}),
    Case("0.5B DPO, short", "0.5B", 40, 250, {"batch_size": 4, "method": "dpo"}),
    Case("1.5B SFT, long", "1.5B", 50, 900, {"batch_size": 16}),
    Case("1.5B DPO, short", "1.5B", 40, 250, {"batch_size": 4, "method": "dpo"}),
    Case("1.5B QLoRA, short", "1.5B", 40, 250, {"batch_size": 16, "four_bit": True}),
)
# More rows at once than would fit: the rehearsal has to say so, with the row.
TOO_MUCH = Case(
    "1.5B SFT, library, 48 at once", "1.5B", 10, 1500, {"batch_size": 48, "pace": "library", "recompute": "never"}
)


def can_run(case: Case) -> bool:
    """A 4-bit base needs a quantiser, which is not on every machine."""
    return not case.recipe.get("four_bit") or find_spec("bitsandbytes") is not None
