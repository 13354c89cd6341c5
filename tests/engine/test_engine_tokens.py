"""What is counted is what is trained: compared with TRL's own collation and with the rows our trainer prepares."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from datasets_app.engine.rendering import ChatTokenizer
from datasets_app.engine.token_counts import Counts
from demo import tickets
from tests.engine.conftest import REPO, child_env
from tests.engine.rows import write_rows
from training.engine import data
from training.engine.data import Preparer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
LIMIT = 40


def talk(*texts: str) -> dict:
    roles = ("user", "assistant") * len(texts)
    return {"messages": [tickets.message(role, text) for role, text in zip(roles, texts, strict=False)]}


SINGLE = [talk(f"sum up this ticket : number {n} " + "please help " * n, f"topic billing {n}") for n in range(12)]
MANY = [talk("first question", "one", f"second question {'again ' * n}", f"two {n}") for n in range(12)]
PAIRS = [
    {
        "prompt": [tickets.message("user", f"ticket {n} " + "help " * n)],
        "chosen": [tickets.message("assistant", f"topic billing {n}")],
        "rejected": [tickets.message("assistant", "no idea at all")],
    }
    for n in range(12)
]


def counts(base: Path, home: Path, rows: list[dict]) -> Counts:
    """The rows counted by the child that counts versions."""
    home.mkdir(parents=True, exist_ok=True)
    spec = {
        "base_path": str(base),
        "data_path": str(write_rows(home / "rows.parquet", rows)),
        "out_dir": str(home / "out"),
    }
    (home / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "training.engine.tokens", str(home / "spec.json")]
    done = subprocess.run(command, cwd=REPO, env=child_env(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events if event["event"] != "progress"] == ["started", "sample", "result"]
    found = Counts.load(home / "out")
    assert found.facts["native"] and found.facts["rows_in_doubt"] == 0
    return found


def trl_labels(base: Path, rows: list[dict], **options) -> list[tuple[int, int]]:
    """Tokens and trained tokens of each row, as TRL's SFT trainer prepares and collates them by itself."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=SFTConfig(output_dir=str(base.parent / "unused"), use_cpu=True, bf16=False, report_to="none", **options),
        processing_class=AutoTokenizer.from_pretrained(base),
        train_dataset=Dataset.from_list(rows),
    )
    found = []
    for row in trainer.train_dataset:
        batch = trainer.data_collator([row])
        found.append((int(batch["attention_mask"].sum()), int((batch["labels"] != -100).sum())))
    return found


def pairs_of(found: Counts, limit: int) -> list[tuple[int, int]]:
    return [
        (min(int(total), limit), int(trained)) for total, trained in zip(found.total, found.trained(limit), strict=True)
    ]


def test_every_answer_of_a_conversation_counts_as_trl_collates_it(tiny_base, tmp_path):
    found = counts(tiny_base, tmp_path, MANY)
    assert pairs_of(found, LIMIT) == trl_labels(tiny_base, MANY, assistant_only_loss=True, max_length=LIMIT)


def test_an_answer_to_one_question_counts_as_trl_collates_it(tiny_base, tmp_path):
    found = counts(tiny_base, tmp_path, SINGLE)
    split = [{"prompt": row["messages"][:1], "completion": row["messages"][1:]} for row in SINGLE]
    assert pairs_of(found, LIMIT) == trl_labels(tiny_base, split, max_length=LIMIT)


@pytest.mark.parametrize("rows", [SINGLE, MANY, PAIRS], ids=["single", "many", "pairs"])
@pytest.mark.parametrize("limit", [24, LIMIT, 512])
def test_what_is_counted_is_what_our_trainer_prepares(tiny_base, tmp_path, rows, limit):
    found = counts(tiny_base, tmp_path, rows)
    preparer = Preparer(ChatTokenizer(tiny_base), limit, "cut")
    for row in data.read_rows(tmp_path / "rows.parquet"):
        preparer.add(row, preference=rows is PAIRS)
    done = preparer.done
    under = found.under(limit)
    assert under["kept_trained"] == done.trained_tokens
    assert under["untrained_rows"] == done.untrained
    assert under["cut_rows"] == done.cut
    left = {index for index in range(len(rows)) if index not in done.untrained}
    kept = sum(_kept(found, index, limit) for index in left)
    assert kept == done.tokens


def _kept(found: Counts, index: int, limit: int) -> int:
    if not found.pairs:
        return min(int(found.total[index]), limit)
    prompt = int(found.prompt[index])
    return sum(min(prompt + int(answer[index]), limit) for answer in (found.chosen, found.rejected))
