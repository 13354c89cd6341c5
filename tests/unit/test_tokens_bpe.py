"""Byte pairs counted natively: the same ids as the `tokenizers` package gives, for any text."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from datasets_app.engine import bpe

pytestmark = pytest.mark.slow  # whole seconds each: properties, planted truth, compiled harnesses

LLAMA3, QWEN2, O200K = (
    next(pattern for pattern, family in bpe.PATTERNS.items() if family == wanted)
    for wanted in [(bpe.LLAMA3, 3), (bpe.LLAMA3, 1), (bpe.O200K, 3)]
)
TEXTS = [
    "The quick brown fox can't jump; it's 12345 metres, isn't it?\n\n\tI'LL see you at 10:30 — we've said so.",
    "def add(a, b):\n    return a + b  # sums\n\n\n" * 3,
    "Größe, naïve café, über-große Straße. 東京都は日本の首都です。你好，世界！ Привет, мир. مرحبا بالعالم नमस्ते दुनिया",
    "😀👩‍👩‍👧‍👦🎻 ①②③ ½ Ⅻ x² ﬁne ǅ ʰ e\u0301 ä\u0323\u0308 \u200b\u00a0\u3000 \x1c\x85",
    '{"queue": "billing", "priority": 3, "tags": ["a/b", "c//d"]}' * 3,
]
SPECIALS = ["<|end|>", "<|user|>", "<|assistant|>", "<|end", "<tool>"]


def byte_level(**options):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, **options)


def split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level(use_regex=False)])


def digits(individual):
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=individual), byte_level()])


KINDS = {
    "gpt2": (byte_level(), {}),
    "llama3": (split(LLAMA3), {"ignore_merges": True}),
    "qwen2": (split(QWEN2), {"nfc": True}),
    "o200k": (split(O200K), {}),
    "digits": (digits(True), {}),
    "digit runs": (digits(False), {}),
}


def trained(kind: str) -> Tokenizer:
    pre_tokenizer, options = KINDS[kind]
    made = Tokenizer(models.BPE(ignore_merges=options.get("ignore_merges", False)))
    made.pre_tokenizer = pre_tokenizer
    made.decoder = decoders.ByteLevel()
    if options.get("nfc"):
        made.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        TEXTS * 3, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    )
    made.add_special_tokens(SPECIALS)
    made.add_tokens([AddedToken("  ", normalized=True), AddedToken("jump", normalized=True)])
    return made


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> dict[str, tuple[Tokenizer, bpe.Bpe]]:
    folder = tmp_path_factory.mktemp("tokenizers")
    found = {}
    for kind in KINDS:
        path = folder / f"{kind}.json"
        made = trained(kind)
        made.save(str(path))
        found[kind] = made, bpe.Bpe(path, slots=64)  # so few that it forgets again and again
    return found


ODD = [
    "'s", "'S", "'ll", "'RE", "'ſ", "'K", "'", " ", "  ", "   \n ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\x85",
    "\x1f", "a", "Zebra", "ǅ", "ʰ", "中文", "日本", "한국어", "नमस्ते", "e\u0301", "\u0323\u0308", "مَرْحَبًا", "0",
    "1234567", "½", "Ⅻ", "١٢٣", "😀", "👩‍👩‍👧", "\u200d", "\ufe0f", "-", "/", "//\n", "...", "<", "<|", *SPECIALS,
    "\u0000", "\ufffd", "\U000e0001", "\U0001f1e9\U0001f1ea", "\u1e9b\u0323", "\u212b", "word", "CamelCase",
    "HTTPServer",
    "a" * 70,
]  # fmt: skip
texts = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(ODD), max_size=24).map("".join),
    st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=4)), max_size=16).map("".join),
)


def check(reference: Tokenizer, ours: bpe.Bpe, text: str) -> None:
    expected = reference.encode(text, add_special_tokens=False)
    try:
        ids, ends = ours.encode(text)
    except bpe.NotNormal:
        assert reference.normalizer is not None and not text.isascii()
        return
    assert ids.tolist() == expected.ids
    data = text.encode()
    starts = [0, *ends.tolist()][: len(ids)]
    assert ends.tolist()[-1:] == ([len(data)] if data else [])
    assert all(ours.bytes_of[n] == data[low:high] for n, low, high in zip(ids, starts, ends, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=600, deadline=None)
@given(text=texts)
def test_ids_are_those_of_the_tokenizers_package(pairs, kind, text):
    check(*pairs[kind], text)


@pytest.mark.parametrize("kind", KINDS)
def test_long_runs_are_merged_alike(pairs, kind):
    for text in ["a" * 5000, " " * 3000 + "x", "\n" * 999, "ab" * 700 + " " * 41, "1" * 777, "é" * 300, *TEXTS]:
        check(*pairs[kind], text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_character_is_classed_alike(pairs, kind):
    reference, ours = pairs[kind]
    for low in [*range(0, 0xD800, 512), *range(0xE000, 0x32000, 512), 0xE0000]:
        check(reference, ours, "a".join(map(chr, range(low, low + 512))))


def test_text_that_would_be_normalised_is_not_guessed_at(pairs):
    with pytest.raises(bpe.NotNormal):
        pairs["qwen2"][1].encode("cafe\u0301")
    ids, _ = pairs["qwen2"][1].encode("café नमस्ते")
    assert ids.tolist() == pairs["qwen2"][0].encode("café नमस्ते").ids


def unusual(path: Path, change) -> str:
    made = trained("gpt2")
    made.save(str(path))
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    return bpe.supported(path)


def test_what_is_unusual_is_named(tmp_path):
    path = tmp_path / "tokenizer.json"
    assert unusual(path, lambda raw: None) == ""
    assert "Unigram" in unusual(path, lambda raw: raw["model"].update(type="Unigram"))
    assert "Lowercase" in unusual(path, lambda raw: raw.update(normalizer={"type": "Lowercase"}))
    assert "byte-level" in unusual(path, lambda raw: raw.update(pre_tokenizer={"type": "Metaspace"}))
    assert "dropout" in unusual(path, lambda raw: raw["model"].update(dropout=0.1))
    assert "every byte" in unusual(path, lambda raw: raw["model"]["vocab"].pop("Ġ"))
    assert "lstrip" in unusual(path, lambda raw: raw["added_tokens"][0].update(lstrip=True))
    assert "prefix" in unusual(path, lambda raw: raw["model"].update(continuing_subword_prefix="##"))
    odd = {"type": "Split", "pattern": {"Regex": "x+"}, "behavior": "Isolated", "invert": False}
    steps = {"type": "Sequence", "pretokenizers": [odd, {"type": "ByteLevel", "use_regex": False}]}
    assert "pattern" in unusual(path, lambda raw: raw.update(pre_tokenizer=steps))
    assert "cannot be read" in bpe.supported(tmp_path / "missing.json")
