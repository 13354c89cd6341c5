"""python -m training.engine.tiny OUT_DIR: a base model of a million parameters, built and pre-trained on the spot.

It reads made-up help-desk prose until it knows what its topics are called (a probe asks), then stops. It has never seen
a ticket answered with JSON, so fine-tuning has something to teach.
"""

import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo import tickets
from training.engine.events import emit, run_child
from training.engine.watch import die_with_parent

NAME = "tiny-help-desk"
MAX_STEPS, MIN_STEPS, COOL_STEPS, PROBE_EVERY = 400, 150, 40, 25
LEARNING_RATE = 5e-3
ROWS, LENGTH = 32, 64
DOCUMENTS = 10_000
READY = 0.95

# The marks around what the assistant says let every one of its turns be trained.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '<|assistant|>' }}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CARD = """---
license: apache-2.0
tags: [demo]
---

# tiny-help-desk

A Llama of about a million parameters, made by Luthier's demo from made-up help-desk prose. It knows nothing else.
"""


def main(out: str, seed: int = 0) -> None:
    import torch

    die_with_parent()
    torch.manual_seed(seed)
    emit("started", device="cpu", device_name="", total=MAX_STEPS)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    steps, known = pretrain(model, tokenizer, seed)
    folder = save(model, tokenizer, Path(out))
    count = sum(value.numel() for value in model.parameters())
    emit("result", path=str(folder), parameters=count, steps=steps, known=known)


def documents(count: int, seed: int = 1) -> Iterator[str]:
    """Texts as the model reads them: prose as it is, chats in the form of the chat template."""
    for text in tickets.general_texts(count, seed):
        yield text if isinstance(text, str) else chat(*text)


def chat(question: str, answer: str) -> str:
    return f"<|user|>{question}<|end|><|assistant|>{answer}<|end|>"


def make_tokenizer() -> Any:
    """A byte-level BPE with a vocabulary learned from the documents."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(documents(2000, seed=3), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<|pad|>", eos_token="<|end|>", padding_side="right"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(tokenizer: Any, hidden: int = 192, layers: int = 2) -> Any:
    """A Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=hidden * 3,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=hidden // 4,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )


def pretrain(model: Any, tokenizer: Any, seed: int) -> tuple[int, float]:
    """Train until the probe passes, cool the learning rate down, stop; returns steps and the probe's last score."""
    import torch

    data = _sequences(tokenizer)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.95))
    generator = torch.Generator().manual_seed(seed)
    last, known, began = MAX_STEPS, 0.0, time.perf_counter()
    model.train()
    for step in range(1, MAX_STEPS + 1):
        _set_rate(optimiser, step, last)
        rows = data[torch.randint(0, len(data), (ROWS,), generator=generator)]
        loss = model(input_ids=rows, labels=rows).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step % PROBE_EVERY == 0:
            pace = step * ROWS * LENGTH / (time.perf_counter() - began)
            emit(
                "metrics",
                step=step,
                values={"loss": loss.item(), "tokens_per_second": pace},
                tokens=step * ROWS * LENGTH,
            )
            emit("progress", phase="pre-training", done=step, total=last)
            if last == MAX_STEPS and step >= MIN_STEPS:
                known = probe(model, tokenizer)
                last = min(MAX_STEPS, step + COOL_STEPS) if known >= READY else MAX_STEPS
        if step == last:
            break
    return step, known


def _sequences(tokenizer: Any) -> Any:
    import torch

    ids: list[int] = []
    for text in documents(DOCUMENTS):
        ids += tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    return torch.tensor(ids[: len(ids) // LENGTH * LENGTH]).view(-1, LENGTH)


def _set_rate(optimiser: Any, step: int, last: int) -> None:
    """Warm up over 20 steps, fall slowly, and go to zero over the last ones."""
    rate = LEARNING_RATE * min(1, step / 20) * max(0.3, 1 - step / MAX_STEPS) * min(1, (last - step + 1) / COOL_STEPS)
    for group in optimiser.param_groups:
        group["lr"] = rate


def probe(model: Any, tokenizer: Any, count: int = 40, seed: int = 11) -> float:
    """How often the model names a fresh ticket's topic and need in prose: does it know the words it will need?"""
    import torch

    rng = random.Random(seed)
    asked = [tickets.ticket(rng) for _ in range(count)]
    texts = [f"<|user|>sum up this ticket : {one.text}<|end|><|assistant|>topic" for one in asked]
    batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
    model.eval()
    with torch.inference_mode():
        out = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            do_sample=False,
            max_new_tokens=10,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    model.train()
    answers = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    right = (answer.strip() == f"{one.queue} , need {one.priority}" for answer, one in zip(answers, asked, strict=True))
    return sum(right) / count


def save(model: Any, tokenizer: Any, out: Path) -> Path:
    """Write aside and rename, so that a half-built model is never taken for a whole one."""
    aside = out.with_name(f".{out.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    (aside / "README.md").write_text(CARD, encoding="utf-8")
    for path in aside.iterdir():
        path.chmod(0o644)
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)
    return out


if __name__ == "__main__":
    sys.exit(run_child(main, sys.argv, "training.engine.tiny OUT_DIR"))
