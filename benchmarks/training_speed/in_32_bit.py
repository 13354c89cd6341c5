"""python -m benchmarks.training_speed.in_32_bit SPEC.json: a run with 32 bits for every number, on a card as well.

A card trains in bfloat16, of which a number keeps eight bits, so two passes that add up in another order are both a
little off. This run is what both of them come near to; it takes the library's own pass, and many times as long.
"""

import os
import sys
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from training.engine import model, trainers
from training.engine.events import run_child
from training.engine.run import main

load_base, common = model.load_base, trainers._common


def whole(*args: Any, **kwargs: Any) -> Any:
    return load_base(*args, **kwargs).float()


def exact(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return common(*args, **kwargs) | {"bf16": False}


if __name__ == "__main__":
    model.load_base, trainers._common = whole, exact
    sys.exit(run_child(main, sys.argv, "benchmarks.training_speed.in_32_bit SPEC.json"))
