"""Real rehearsals of a tiny model: what they measure is what a run takes, and what does not fit is named."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets_app.engine.renderer import Renderer
from datasets_app.engine.rendering import ChatTokenizer
from demo import tickets
from tests.engine.conftest import REPO, Engine, Told, child_env, run_fork
from training.domain import rehearsal
from training.engine import data, fingerprint
from training.engine.data import Preparer
from training.engine.rehearsal import cut, example_length

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def rehearse(spec, *, steps: int = 12, limit: int = 0, server=None) -> Told:
    preference = spec.recipe.method == "dpo"
    base = Path(spec.base.path)
    renderer = Renderer(base)
    preparer = Preparer(ChatTokenizer(base, renderer), spec.recipe.max_length, spec.recipe.cut)
    for row in data.read_rows(Path(spec.data.path)):
        preparer.add(row, preference=preference)
    renderer.close()
    lengths = np.array([example_length(example) for example in preparer.done.examples])
    asked = {
        "run": spec.as_dict(),
        "rows": rehearsal.choose(lengths, spec.recipe, steps),
        "steps": steps,
        "memory_limit": limit,
    }
    path = Path(spec.output_dir).parent / "rehearsal.json"
    path.write_text(json.dumps(asked))
    command = ["-m", "training.engine.rehearsal", str(path)]
    if server is not None:
        return run_fork(server, command, path.parent)
    command = [sys.executable, *command]
    done = subprocess.run(command, cwd=REPO, env=child_env(), capture_output=True, text=True, check=False)
    return Told(done.returncode, [json.loads(line) for line in done.stdout.splitlines()])


@pytest.mark.parametrize(
    "changes",
    [{}, {"packing": True}, {"method": "dpo"}, {"method": "dpo", "pace": "fast"}],
    ids=["sft", "packed", "dpo", "dpo fast"],
)
def test_real_steps_are_measured_by_size_and_a_save_is_timed(engine, routing, changes):
    rows = tickets.preference_rows(60) if changes.get("method") == "dpo" else routing[0][:120]
    told = rehearse(engine.spec(rows, epochs=3, batch_size=4, **changes), server=engine.server)

    assert told.returncode == 0, told.events[-1]
    result = told.one("result")
    assert told.one("started")["total"] == result["measured_steps"] <= 12
    assert result["saves"] == 1 and result["save_bytes"] > 10_000 and result["adapter_bytes"] > 10_000
    assert all(seconds > 0 for *_, seconds, _ in result["points"])
    assert result["memory_bytes"] > 100 * 2**20
    stages = {"starting", "preparing", "loading", "training", "samples", "saving"}
    assert result["samples_taken"] == 1 and 0 < result["sample_seconds"] < 10
    assert set(result["stages"]) == stages | ({"reference"} if changes.get("pace") else set())
    assert bool(changes.get("pace")) == bool(result["reference_tokens"])
    assert not told.of("misfit")


def test_the_longest_rows_are_the_first_steps(engine, routing):
    told = rehearse(engine.spec(routing[0][:120], batch_size=4), server=engine.server)
    result = told.one("result")
    rows, length = result["widest"]
    assert (rows, length) == (4, result["longest"]["tokens"])


@pytest.fixture
def far_seeing(tmp_path, tiny_base):
    """The tiny base, said to see 8,192 tokens."""
    folder = tmp_path / "far-seeing"
    shutil.copytree(tiny_base, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    return Engine(tmp_path, folder, fingerprint.describe(folder))


def test_a_row_that_is_too_long_is_named_with_what_would_fit(far_seeing, routing):
    rows = [dict(row) for row in routing[0][:60]]
    question = {"role": "user", "content": "ticket please " * 3000}
    rows[41] = {"messages": [question, {"role": "assistant", "content": "yes"}]}
    spec = far_seeing.spec(rows, batch_size=4, max_length=8192)

    told = rehearse(spec, limit=900 * 10**6)

    assert told.returncode == 1
    failed, misfit = told.one("failed"), told.one("misfit")
    assert failed["code"] == "will_not_fit"
    assert misfit["row"] == 41 and misfit["tokens"] > 5000 and misfit["rows"] == 4
    assert failed["message"].startswith(f"Row 41 has {misfit['tokens']} tokens; with 4 rows at once")
    assert 16 <= misfit["fits_tokens"] < misfit["tokens"]


def test_an_example_is_cut_to_so_many_tokens():
    text = cut({"input_ids": list(range(50)), "labels": list(range(50))}, 20)
    assert len(text["input_ids"]) == len(text["labels"]) == 20 and text["seq_lengths"] == [20]
    pair = {"prompt_ids": list(range(30)), "chosen_ids": list(range(20)), "rejected_ids": list(range(10))}
    for tokens in (49, 31, 30, 16, 2):
        assert example_length(cut(pair, tokens)) <= tokens
        assert all(ids for name, ids in cut(pair, tokens).items() if name.endswith("_ids"))
