"""python -m benchmarks.next_versions N FOLDER: what a provider might ship after a base N, built from it on the spot.

N+1 has the shapes of N and is trained further on the same kind of prose. N+2 is N+1 with a wider hidden state: its
new dimensions carry nothing, so it says what N+1 says, and no adapter of N fits its shapes. FURTHER is by how many
steps N+1 is trained, RATE how fast: the more, the fewer adapters survive.
"""

import os
import sys
from pathlib import Path
from typing import Any

FURTHER, RATE, ROWS = int(os.environ.get("FURTHER", "20")), float(os.environ.get("RATE", "4e-4")), 32
WIDER = 256


def build(n: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    from training.engine import tiny

    torch.manual_seed(0)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(n)
    model = AutoModelForCausalLM.from_pretrained(n, dtype=torch.float32)
    further(model, tiny._sequences(tokenizer))
    tiny.save(model, tokenizer, folder / "n-plus-1")
    tiny.save(widened(model), tokenizer, folder / "n-plus-2")


def further(model: Any, data: Any) -> None:
    import torch

    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(1)
    model.train()
    for _ in range(FURTHER):
        rows = data[torch.randint(0, len(data), (ROWS,), generator=generator)]
        model(input_ids=rows, labels=rows).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    model.eval()


def widened(model: Any) -> Any:
    """The same function with zeros in the new dimensions; RMSNorm averages over all, which its weights make up for."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    old = model.config
    config = LlamaConfig(**(old.to_dict() | {"hidden_size": WIDER, "head_dim": old.head_dim}))
    wide = LlamaForCausalLM(config)
    scale = (old.hidden_size / WIDER) ** 0.5
    theirs = model.state_dict()
    with torch.no_grad():
        for name, value in wide.state_dict().items():
            value.zero_()
            mine = theirs[name] * (scale if "norm" in name else 1.0)
            value[tuple(slice(0, side) for side in mine.shape)] = mine
    return wide.eval()


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
