"""Texts and conversations out of drawn words, and what happens to them when somebody edits a few."""

from typing import Any

from benchmarks.data.draw import Draw, log_normal
from benchmarks.data.vocabulary import LANGUAGES, SHARES, Language, language

Message = dict[str, Any]
LENGTHS = log_normal(median=193, sigma=0.72, low=24, high=6000)  # words of a row
GOLDEN_PROMPTS = log_normal(median=80, sigma=0.4, low=48, high=300)
TOPICS = tuple(
    ["billing", "access", "network", "hardware", "travel", "recipes", "grammar", "history", "planning", "testing"]
)
EDGES = tuple(sum(SHARES[: n + 1]) for n in range(len(SHARES)))


def pick_language(draw: Draw, seed: int) -> Language:
    at = draw.unit()
    return language(next((c for c, edge in zip(LANGUAGES, EDGES, strict=True) if at < edge), "en"), seed)


def prose(lang: Language, words: int, draw: Draw) -> str:
    """Sentences of 5 to 18 words; now and then a phrase that everybody uses, a number, a new paragraph."""
    drawn: list[str] = lang.words[lang.ranks[draw.many(words)]].tolist()
    full, comma, loud, asks = lang.marks
    pieces: list[str] = []
    start = 0
    while start < words:
        bits = draw.bits()
        end = min(words, start + 5 + bits % 14)
        sentence = drawn[start:end]
        if bits & 0x100 and len(sentence) > 6:
            sentence[3] += comma
        if not bits & 0xE00:
            sentence += lang.phrases[(bits >> 12) % len(lang.phrases)]
        if not bits & 0x1F000000:
            sentence.append(str((bits >> 30) % 2000))
        mark = asks if not bits & 0xF00000000 else loud if not bits & 0xF000000000 else full
        first = sentence[0]
        sentence[0] = first[:1].upper() + first[1:]
        gap = "\n\n" if not bits & 0xF0000000000 else lang.space
        pieces.append(lang.space.join(sentence) + mark + gap)
        start = end
    return "".join(pieces).strip()


def code(lang: Language, words: int, draw: Draw) -> str:
    """Lines in the manner of a programming language."""
    names: list[str] = lang.words[lang.ranks[draw.many(words + 6)]].tolist()
    lines, at = [], 0
    while at < words:
        a, b, c, d = names[at : at + 4]
        bits = draw.bits()
        line, used = (
            (f"def {a}({b}, {c}):", 3),
            (f"    {a} = {b}({c}, {d})", 4),
            (f"    if {a} > {bits >> 8 & 0xFF}:", 1),
            (f"        return {a}.{b}", 2),
            (f"    for {a} in {b}.{c}({d}):", 4),
            (f"        {a}[{b}] += {c} * {bits >> 8 & 0xF}", 3),
            (f"    # {a} {b} {c}", 3),
            (f"    assert {a} is not None and {b} != {c}", 3),
        )[bits & 7]
        lines.append(line)
        at += used
    return "```\n" + "\n".join(lines) + "\n```"


def conversation(draw: Draw, seed: int) -> tuple[Language, list[Message]]:
    """One to four questions with their answers, under a system turn in three of five rows."""
    lang = pick_language(draw, seed)
    total = LENGTHS[draw.below(4096)]
    rounds = 1 if total < 60 else (1, 1, 1, 1, 1, 1, 2, 2, 3, 4)[draw.below(10)]
    words = max(12, total // rounds)
    spoken = language("en", seed) if lang.code == "code" else lang
    messages: list[Message] = []
    if draw.chance(0.6):
        messages.append({"role": "system", "content": draw.one(spoken.systems)})
    for _ in range(rounds):
        asked = max(6, int(words * (0.15 + 0.3 * draw.unit())))
        answer = (code if lang.code == "code" else prose)(lang, max(6, words - asked), draw)
        messages += [
            {"role": "user", "content": prose(spoken, asked, draw)},
            {"role": "assistant", "content": answer},
        ]
    if rounds > 1 and draw.chance(0.1):
        messages[-3]["weight"] = 0
    return lang, messages


def golden_case(draw: Draw, seed: int) -> tuple[Language, list[Message]]:
    """One question of some length and a shorter answer."""
    lang = pick_language(draw, seed)
    spoken = language("en", seed) if lang.code == "code" else lang
    asked = prose(spoken, GOLDEN_PROMPTS[draw.below(4096)], draw)
    answer = prose(spoken, 6 + draw.below(50), draw)
    return spoken, [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


def edited(messages: list[Message], lang: Language, rate: float, draw: Draw) -> list[Message]:
    """The turns with this share of their words replaced, dropped or added; at least one word in all."""
    spoken = [turn for turn in messages if turn["role"] != "system"]
    split = {id(turn): list(turn["content"]) if not lang.space else turn["content"].split(" ") for turn in spoken}
    sizes = [len(split[id(turn)]) for turn in spoken]
    before = {name: list(words) for name, words in split.items()}
    edits = max(1, round(rate * sum(sizes)))
    while edits > 0 or split == before:  # what one edit put in, the next may have taken out
        at, turn = draw.below(sum(sizes)), 0
        while at >= sizes[turn]:
            at -= sizes[turn]
            turn += 1
        words = split[id(spoken[turn])]
        _edit(words, at % len(words), lang, draw)
        edits -= 1
    return [
        turn | {"content": lang.space.join(split[id(turn)])} if id(turn) in split else dict(turn) for turn in messages
    ]


def _edit(words: list[str], at: int, lang: Language, draw: Draw) -> None:
    word = str(lang.words[400 + draw.below(len(lang.words) - 400)])
    if word == words[at]:
        word += word  # an edit changes something
    action = draw.below(5)
    if action < 3 or len(words) < 4 or "\n" in words[at]:
        words[at] = word + ("\n" + words[at].partition("\n")[2] if "\n" in words[at] else "")
    elif action == 3:
        del words[at]
    else:
        words.insert(at, word)


def with_inserted(messages: list[Message], lang: Language, text: str, draw: Draw) -> list[Message]:
    """The turns with a text of its own between two words of one of them."""
    turns = [dict(turn) for turn in messages]
    spoken = [turn for turn in turns if turn["role"] != "system"]
    turn = draw.one(spoken)
    if not lang.space:
        at = draw.below(len(turn["content"]) + 1)
        turn["content"] = f"{turn['content'][:at]} {text} {turn['content'][at:]}"
    else:
        words = turn["content"].split(" ")
        words.insert(draw.below(len(words) + 1), text)
        turn["content"] = " ".join(words)
    return turns
