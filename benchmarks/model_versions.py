"""Versions of one tiny base model, as a provider would ship them, and an adapter of the first: for proofs of drift.

`python -m benchmarks.model_versions FOLDER` writes N (a little pre-training), N+1 (more of it, the same shapes), N+2
(wider), N with another chat template and N with another tokenizer.
"""

import io
import json
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.engine_runs import ROOT, Runs, Told, child_environment
from demo import tickets
from training.domain import anatomy
from training.domain.compatibility import Base, Fitted
from training.engine import fingerprint as describing

HIDDEN, WIDER, LAYERS = 32, 48, 2
STEPS, FURTHER, ROWS = 40, 20, 16
VERSIONS = ("N", "N+1", "N+2", "N, another template", "N, another tokenizer")
REVISION = "f" * 64  # what Runs calls the fingerprint of its base


def build(folder: Path) -> None:
    import torch

    from training.engine import tiny

    torch.manual_seed(0)
    tokenizer = tiny.make_tokenizer()
    model = tiny.make_model(tokenizer, hidden=HIDDEN, layers=LAYERS)
    data = tiny._sequences(tokenizer)
    train(model, data, STEPS)
    tiny.save(model, tokenizer, folder / VERSIONS[0])
    train(model, data, FURTHER)
    tiny.save(model, tokenizer, folder / VERSIONS[1])
    tiny.save(tiny.make_model(tokenizer, hidden=WIDER, layers=LAYERS), tokenizer, folder / VERSIONS[2])
    _with_template(folder)
    _with_tokenizer(folder)


def train(model: Any, data: Any, steps: int) -> None:
    import torch

    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(steps)
    model.train()
    for _ in range(steps):
        rows = data[torch.randint(0, len(data), (ROWS,), generator=generator)]
        model(input_ids=rows, labels=rows).loss.backward()
        optimiser.step()
        optimiser.zero_grad()


def _with_template(folder: Path) -> None:
    place = shutil.copytree(folder / VERSIONS[0], folder / VERSIONS[3])
    path = place / "chat_template.jinja"
    path.write_text(path.read_text().replace("'<|' + message['role'] + '|>'", "'<|' + message['role'] + '|>turn : '"))


def _with_tokenizer(folder: Path) -> None:
    """The same pieces of text under other numbers, as after a vocabulary was learnt anew."""
    place = shutil.copytree(folder / VERSIONS[0], folder / VERSIONS[4])
    raw = json.loads((place / "tokenizer.json").read_text())
    words = sorted((number, word) for word, number in raw["model"]["vocab"].items())
    special = {one["content"] for one in raw["added_tokens"]}
    plain = [number for number, word in words if word not in special]
    turned = dict(zip(plain, reversed(plain), strict=True))
    raw["model"]["vocab"] = {word: turned.get(number, number) for number, word in words}
    (place / "tokenizer.json").write_text(json.dumps(raw))


class Versions:
    """The versions with what is recorded of each, and adapters of the first one."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.model_versions", str(folder)]
        subprocess.run(command, cwd=ROOT, env=child_environment(), check=True, stdout=subprocess.DEVNULL)
        self.folders = {name: folder / name for name in VERSIONS}
        with redirect_stdout(io.StringIO()):  # it tells how far it is
            self.described = {name: describing.describe(path) for name, path in self.folders.items()}
        self.runs = Runs(folder / "runs", base=self.folders["N"])

    def base(self, name: str) -> Base:
        facts = self.described[name]
        return Base(
            name=name,
            fingerprint=facts["fingerprint"],
            parts=facts["parts"],
            anatomy=facts["anatomy"],
            context=facts["context_length"],
            vocabulary=facts["vocab_size"],
            architecture=facts["architecture"],
        )

    def adapter(self, name: str, **recipe: Any) -> tuple[Path, dict[str, Any]]:
        """Train one for real; its folder, and what the engine told of it."""
        spec = self.runs.spec(name, tickets.routing_sets()[0][:64], epochs=2, rank=8, alpha=16, **recipe)
        told: Told = self.runs.run(spec)
        if told.returncode:
            raise SystemExit(f"{name}: {told.why}\n{self.runs.log_of(spec)}")
        return Path(spec.output_dir), told.one("result")["adapter"]


def fitted(made: dict[str, Any]) -> Fitted:
    return Fitted("adapter", made["rank"], anatomy.unfold(made["anatomy"]["tensors"]), longest=128)


def stored(made: dict[str, Any]) -> dict[str, Any]:
    """What a worker is given to prove a load with."""
    return {"weights": made["anatomy"], "observed": {made["proof"]["numerics"]: made["proof"]}}


if __name__ == "__main__":
    build(Path(sys.argv[1]))
