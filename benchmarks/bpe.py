"""The tokenizer of the benchmarks: a byte-level BPE of 32,000 tokens, trained once on 40,000 rows of the data."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from benchmarks.data import generator

ROWS, KINDS = 40_000, 32_000
END = "<|im_end|>"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def folder() -> Path:
    """The folder of the tokenizer, trained if it is not there yet."""
    path = generator.FOLDER / "tokenizer-32k"
    if not (path / "tokenizer_config.json").exists():
        _train(path)
    return path


def _train(path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    files = generator.paths(ROWS, malformed=False)
    if not files["data"].exists():
        generator.generate(ROWS, malformed=False)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=KINDS,
        special_tokens=["<|im_start|>", END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(files["data"]), trainer)
    path.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": END,
        "chat_template": TEMPLATE,
        "model_max_length": 32_768,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


def _texts(data: Path) -> Iterator[str]:
    with data.open("rb") as lines:
        for line in islice(lines, ROWS):
            yield from (turn["content"] for turn in json.loads(line)["messages"])


if __name__ == "__main__":
    print(folder())
