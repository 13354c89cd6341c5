"""Counts by plan: for any rows under any kind of template the same tokens, trained alike, as the trainer makes."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.engine import bpe
from datasets_app.engine.batch import Batch, batch_of_rows
from datasets_app.engine.chat_template import Unshowable
from datasets_app.engine.facts import Facts
from datasets_app.engine.rendering import ChatTokenizer, Pair, Tokens
from datasets_app.engine.token_counts import Counts
from datasets_app.engine.token_rows import RowCounter, read_row, record_of
from datasets_app.engine.tokens import Tokens as Analyser

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

CHATML = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKED = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<|im_start|>assistant\n{% generation %}"
    "{{ m['content'] }}<|im_end|>{% endgeneration %}\n{% else %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TRIMMED = (
    "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n\n{{ m['content'] | trim }}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n\n{% endif %}"
)
MERGED = (
    "{% if messages[0].role == 'system' %}{% set first = messages[0].content + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{% if m.role == 'system' %}{{ raise_exception('No system turn here') }}{% endif %}"
    "[{{ 'model' if m.role == 'assistant' else m.role }}] {{ first if loop.first else '' }}{{ m.content.strip() }}"
    "{{ eos_token if m.role == 'assistant' else ' ' }}{% endfor %}{% if add_generation_prompt %}[model] {% endif %}"
)
THINKING = (
    "{% for m in messages %}{% set words = m.content %}{% if '</think>' in words %}"
    "{% set words = words.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n"
    "{{ words.lstrip('\n') }}{% else %}{{ words }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if messages|length > 3 %}<think>{% endif %}{% endif %}"
)
SLY = "{% for m in messages %}{{ m.role }}: {{ m.content[:20] if 'a' not in m.role else m.content }}\n{% endfor %}"
TEMPLATES = {
    "chatml": CHATML, "marked": MARKED, "trimmed": TRIMMED, "merged": MERGED, "thinking": THINKING, "sly": SLY,
}  # fmt: skip
TRAINED_ON = ["You help. system user assistant\n\nmodel think the answer is 42, naïve café 日本語 你好\n\n\n  " * 3]


def make_folder(folder: Path, template: str, kind: str = "llama3", *, nfc: bool = False) -> Path:
    """A small byte-level tokenizer with a template, as a base model has them."""
    pattern = next(text for text, family in bpe.PATTERNS.items() if family == (bpe.LLAMA3, 3))
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=False)
        if kind == "gpt2"
        else pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    )
    raw.decoder = decoders.ByteLevel()
    if nfc:
        raw.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    raw.train_from_iterator(TRAINED_ON, trainer)
    raw.add_special_tokens(["<|im_start|>", "<|im_end|>", "<s>"])
    folder.mkdir(parents=True, exist_ok=True)
    raw.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "<|im_end|>"}))
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.fixture(scope="module")
def counters(tmp_path_factory) -> dict[str, tuple[ChatTokenizer, RowCounter]]:
    home = tmp_path_factory.mktemp("bases")
    found = {}
    for name, template in TEMPLATES.items():
        kind = "gpt2" if name in {"merged", "marked"} else "llama3"
        folder = make_folder(home / name, template, kind, nfc=name == "thinking")
        found[name] = ChatTokenizer(folder), RowCounter(folder)
    return found


words = st.one_of(
    st.text(max_size=20),
    st.lists(
        st.sampled_from(
            ["answer", " ", "\n", "\n\n", "\t", "<|im_end|>", "<|im_start|>", "</think>", "42", "日本", "e\u0301", "'s",
             "\U000f1e55", "\U000f1e56", "<s>", "\u3000", "\x1f", "model", "."]
        ),
        max_size=8,
    ).map("".join),
)  # fmt: skip


@st.composite
def conversations(draw) -> Row:
    turns = [{"role": "system", "content": draw(words)}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        turns.append({"role": "user", "content": draw(words)})
        turns.append({"role": "assistant", "content": draw(words)})
        if draw(st.integers(0, 4)) == 0:
            turns[-1]["weight"] = draw(st.integers(0, 1))
    if draw(st.integers(0, 9)) == 0:
        turns.append({"role": "user", "content": draw(words)})
    tools = [{"type": "function", "function": {"name": "f"}}] if draw(st.integers(0, 9)) == 0 else None
    return Row(Kind.SFT, turns, tools=tools)


@st.composite
def pairs(draw) -> Row:
    prompt = [{"role": "user", "content": draw(words)}]
    if draw(st.booleans()):
        prompt = [{"role": "system", "content": draw(words)}, *prompt]
    answers = [[{"role": "assistant", "content": draw(words)}] for _ in range(2)]
    return Row(Kind.PREFERENCE, prompt, chosen=answers[0], rejected=answers[1])


def check(reference: ChatTokenizer, counter: RowCounter, batch: Batch) -> None:
    counts = counter.count(batch)
    for row in range(batch.rows):
        try:
            expected = read_row(reference, record_of(batch, row))
        except Unshowable:
            assert not counts.shown[row] and counts.total[row] == 0
            continue
        assert counts.shown[row]
        if isinstance(expected, Pair):
            found = (counts.prompt[row], counts.chosen[row], counts.rejected[row])
            assert found == (len(expected.prompt), len(expected.chosen), len(expected.rejected))
            continue
        assert isinstance(expected, Tokens)
        assert counts.total[row] == len(expected.ids)
        mask = np.zeros(len(expected.ids), bool)
        for low, high in counts.spans[counts.row_span[row] : counts.row_span[row + 1]]:
            mask[low:high] = True
        assert mask.tolist() == expected.trained
    assert counts.last_turn_only <= batch.rows


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=60, deadline=None)
@given(rows=st.lists(conversations(), min_size=1, max_size=6))
def test_conversations_are_counted_as_the_trainer_reads_them(counters, name, rows):
    check(*counters[name], batch_of_rows(list(enumerate(rows))))


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(pairs(), min_size=1, max_size=6))
def test_pairs_are_counted_as_the_trainer_reads_them(counters, name, rows):
    check(*counters[name], batch_of_rows(list(enumerate(rows))))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(words.map(lambda text: Row(Kind.TEXT, [], text=text)), min_size=1, max_size=6))
def test_plain_text_is_counted_as_the_trainer_reads_it(counters, rows):
    check(*counters["chatml"], batch_of_rows(list(enumerate(rows))))
    check(*counters["thinking"], batch_of_rows(list(enumerate(rows))))


def chats(*said: tuple[str, ...]) -> Batch:
    turns = ("user", "assistant") * 4
    rows = [
        Row(Kind.SFT, [{"role": role, "content": text} for role, text in zip(turns, one, strict=False)]) for one in said
    ]
    return batch_of_rows(list(enumerate(rows)))


@pytest.mark.parametrize("name", ["chatml", "marked", "trimmed", "thinking"])
def test_ordinary_rows_never_reach_the_template_engine(counters, name):
    _, counter = counters[name]
    before = counter.by_row
    check(*counters[name], chats(*[("a question", " an answer\n", "and?", "\nmore ")] * 40, ("q", "a")))
    assert counter.by_row == before and counter.doubts == 0


def test_a_template_that_looks_at_the_words_is_asked_for_every_row(counters):
    _, counter = counters["sly"]
    before = counter.by_row
    check(*counters["sly"], chats(("a long question of more than twenty letters", "answer")))
    assert counter.by_row == before + 1


def test_a_tokenizer_that_is_not_byte_level_is_counted_by_its_own_package(tmp_path):
    raw = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %} {{ m.content }} {% endfor %}")
    counter = RowCounter(tmp_path)
    check(ChatTokenizer(tmp_path), counter, chats(("a b a", "b"), ("a", "b b")))
    assert "WordLevel" in counter.facts()["why_slow"]


def test_without_a_template_the_words_themselves_are_counted(tmp_path):
    folder = make_folder(tmp_path, "")
    (folder / "tokenizer_config.json").unlink()
    analyser = Analyser(folder, max_length=3)
    analyser.take(chats(("a question", "answer")))
    facts = Facts(purpose="training", rows=1)
    analyser.finish(facts)
    stats = facts.stats["tokens"]
    expected = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("a question\nanswer")
    assert (stats["tokens"], stats["has_template"], stats["cut"]) == (len(expected.ids), False, 1)


# What a limit does


def counted(total: list[int], spans: list[list[tuple[int, int]]], **more) -> Counts:
    flat = [span for one in spans for span in one]
    return Counts(
        total=np.array(total, np.int32),
        spans=np.array(flat, np.int32).reshape(-1, 2),
        row_span=np.cumsum([0, *(len(one) for one in spans)]),
        shown=np.ones(len(total), bool),
        **more,
    )


def test_a_limit_cuts_rows_answers_and_what_is_trained():
    counts = counted([10, 20, 30, 8], [[(4, 10)], [(2, 5), (15, 20)], [(25, 30)], []])
    under = counts.under(20)
    assert (under["cut_rows"], under["answers_cut_rows"], under["untrained_rows"]) == ([2], [2], [2, 3])
    assert (under["untrained_short"], under["tokens"], under["kept_tokens"]) == (1, 68, 58)
    assert (under["trained_tokens"], under["kept_trained"]) == (19, 14)
    assert under["remedy"] == {"needed": 30, "more_tokens": 10, "needed_p99": 30}
    assert counts.under(30)["remedy"] is None
    assert counts.answer().tolist() == [6, 5, 5, 0]
    assert counts.under(12)["answers_cut_rows"] == [1, 2]
    # The end of row 0's answer is lost at 9, though it is not much longer.
    assert counts.under(9)["answers_cut_rows"] == [0, 1, 2]


def test_a_row_whose_answer_is_whole_is_cut_behind_it():
    assert counted([12], [[(2, 8)]]).under(10)["answers_cut"] == 0
    assert counted([12], [[(2, 8)]]).under(10)["cut"] == 1


def test_of_a_pair_both_answers_have_to_be_left():
    ones = [np.array([n], np.int32) for n in (10, 5, 3)]
    counts = counted([15], [[]], prompt=ones[0], chosen=ones[1], rejected=ones[2])
    assert counts.under(12)["kept_trained"] == 4
    assert counts.under(10)["untrained"] == 1
    assert counts.under(15)["tokens"] == 15 + 13


def test_counts_come_back_from_their_files_as_they_were(tmp_path):
    counts = Counts.joined([counted([10, 20], [[(4, 10)], []], last_turn_only=1), counted([7], [[(0, 7)]])])
    counts.unshowable, counts.facts = [{"index": 1, "code": "template", "message": "no"}], {"native": True}
    counts.save(tmp_path)
    assert Counts.load(tmp_path).under(8) == counts.under(8)
    assert Counts.load(tmp_path).spans.tolist() == [[4, 10], [0, 7]]


def test_nothing_counted_is_nothing():
    assert Counts.joined([]).under(100)["rows"] == 0
