"""How long sample answers take: three prompts side by side, by the library and by the engine's own way.

python -m benchmarks.answers [--shape qwen1.5b] [--rounds 3] prints one JSON object: seconds of the first call and the
median of the others for each way, and the share of tokens that are the same (in bfloat16 a tie may fall otherwise).
Weights and prompts are random, LoRA of rank 16 lies on all linear layers, and everything computes as it does in a run.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.training_speed.shapes import SHAPES, make

LENGTHS = (32, 270, 700)  # tokens of the prompts


def ready(shape: str, folder: Path) -> tuple[Any, Any]:
    """The model as it is in a run, and its device."""
    from peft import LoraConfig, get_peft_model

    from training.engine import model as models
    from training.engine.run import seed

    device = models.choose_device("auto")
    seed(0, device)
    base = models.load_base(str(make(SHAPES[shape], folder / "model")), device, four_bit=False)
    base = base.to(device.kind)
    grown = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    return grown.eval(), device


def prompts(vocabulary: int, device: str) -> tuple[Any, Any]:
    import torch

    width = max(LENGTHS)
    ids = torch.randint(1, vocabulary, (len(LENGTHS), width), generator=torch.Generator().manual_seed(5))
    mask = torch.ones_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, : width - length] = mask[row, : width - length] = 0
    return ids.to(device), mask.to(device)


def timed(ask: Callable[[], Any], rounds: int, device: str) -> tuple[list[float], Any]:
    import torch

    found, answer = [], None
    for _ in range(rounds + 1):
        began = time.perf_counter()
        answer = ask()
        if device == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return found, answer


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--shape", choices=sorted(SHAPES), default="qwen1.5b")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    import torch

    from training.engine import answering, samples

    with tempfile.TemporaryDirectory(prefix="luthier-answers-") as folder, torch.no_grad():
        model, device = ready(given.shape, Path(folder))
        ids, mask = prompts(SHAPES[given.shape].config["vocab_size"], device.kind)

        def never() -> bool:
            return False

        ways: dict[str, Callable[[], Any]] = {
            "engine": lambda: answering.greedy(model, ids, mask, most=samples.NEW_TOKENS, stops=[], enough=never),
            "library": lambda: samples._generated(model, ids, mask, [], never),
        }
        told: dict[str, Any] = {"shape": given.shape, "device": device.name, "tokens": samples.NEW_TOKENS}
        answers = {}
        for name, ask in ways.items():
            seconds, answers[name] = timed(ask, given.rounds, device.kind)
            told[name] = {"first_s": round(seconds[0], 3), "median_s": round(statistics.median(seconds[1:]), 3)}
        width = min(answer.shape[1] for answer in answers.values())
        same = answers["library"][:, :width] == answers["engine"][:, :width]
        told["same_tokens"] = round(float(same.float().mean()), 4)
        told["times_faster"] = round(told["library"]["median_s"] / told["engine"]["median_s"], 2)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
