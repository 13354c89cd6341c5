"""Words of six languages and of code: the commonest are real, all others are put together from syllables."""

import random
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.data.draw import Table, zipf

KINDS = 24_000
LANGUAGES = ("en", "de", "fr", "es", "ru", "zh", "code")
SHARES = (0.45, 0.12, 0.10, 0.10, 0.08, 0.06, 0.09)

COMMON = {
    "en": "the of and to a in is that it for was on are as with they at be this have from or had by but not what all "
    "were we when your can said there use an each which she do how their if will up other about out many then them",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er "
    "hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum haben nur oder aber vor zur bis",
    "fr": "de la le et les des en un du une que est pour qui dans par pas sur au plus ce il avec ne se sont mais son "
    "nous vous elle on cette comme ou si leur y dont tout être aux sans même ces fait deux peut bien où entre après",
    "es": "de la que el en y a los del se las por un para con no una su al lo como más pero sus le ya o este sí porque "
    "esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno les ni contra",
    "ru": "и в не на я что он с как это по но из у за от так же для бы к мы она они о вы его её то все при или уже "
    "если только ещё есть был была были чтобы когда может до после без где надо раз под очень этот можно там нет",
    "zh": "的 一 是 不 了 在 有 我 他 这 个 们 中 来 上 大 为 和 国 地 到 以 说 时 要 就 出 会 可 也 你 对 生 能 而 "
    "子 那 得 于 着 下 自 之 年 过 发 后 作 里 用 道 行 所 然 家 种 事 成 方 多 经 么 去 法 学 如 都 同 现 当 没",
    "code": "self return value item result index data name key size count list node path text line file user order "
    "items config total start end left right buffer length status number parent child token cache state",
}
SYLLABLES = {
    "en": "ba ber cal con den der dle dro el en fer fin gar gle gra har ing ish kel lan ler lin lo mar men mor nar "
    "ner nor ol or pel per pin que ral ren rin ro sal sen ser sh sol tan tel ter thi tion tor tra ul und ver vin wil",
    "de": "be ber bung chen den der dor ech eil ein feld ge gel ger gra hal hei heit in kel keit kun lan leit lich "
    "lung mann mer mung nen ner ob ord rich rung sam schaf sel sen stein stel ter trag um un ver wal wei wer zen zung",
    "fr": "a bel blan ca che ci con cour de dre é eau eur fran ga geu gne il jar lai le leur li lon ma men mé ment "
    "moi nai no nou oir our pa per plai que ra re rou sai sé ser sion ta té tion tra veau ver vi voi",
    "es": "a bra ca car ce cia ción co cho da de dor en es fa ga gar ge gra go ja la lle lo man mar men mo na nes "
    "ni ño pa per po que ra res ri ro sa sen se ta te tia to tra ven ver vi za zo",
    "ru": "ба бе бо ва ве во вы га го да де до ду ель ем ени ер жи за зе зо ин ист ка ки ко кра ла ле ли ло ма ме "
    "ми мо на не ни но об ож ор ос па пе по пра ра ре ро ру са се ск сто та те ти то тор ту ум хо ци че ша ще ын ь я",
    "code": "add all bat bin buf cal cfg chk cmp con dat dec del doc enc ent exp fil fmt gen get grp has idx ini is "
    "job key len lim lst map max mem min msg net num obj opt out par pos pre prx ptr que raw ref req res row run seq "
    "set sig sim src sub sum tab tag tmp tok top tot try txt typ uid upd url use usr val var vec ver win xml",
}
MARKS = {"zh": ("。", "，", "！", "？"), "ru": (".", ",", "!", "?")}
LATIN_MARKS = (".", ",", "!", "?")


@dataclass(frozen=True, slots=True)
class Language:
    code: str
    words: NDArray[np.object_]  # by rank
    ranks: Table  # 16 random bits → rank
    phrases: tuple[tuple[str, ...], ...]  # what people of this language say again and again
    systems: tuple[str, ...]
    space: str
    marks: tuple[str, str, str, str]  # full stop, comma, exclamation, question


@cache
def language(code: str, seed: int) -> Language:
    rng = random.Random(f"{seed}:{code}")
    words = _characters(rng) if code == "zh" else _words(code, rng)
    space = "" if code == "zh" else " "
    common, rest = words[:60], words[60:4000]
    phrases = tuple(
        tuple(rng.choice(common) if rng.random() < 0.5 else rng.choice(rest) for _ in range(rng.randint(3, 7)))
        for _ in range(400)
    )
    systems = tuple(
        space.join(rng.choice(common) if rng.random() < 0.5 else rng.choice(rest) for _ in range(rng.randint(6, 18)))
        for _ in range(40)
    )
    listed: NDArray[np.object_] = np.array(words, dtype=object)
    return Language(code, listed, zipf(len(words)), phrases, systems, space, MARKS.get(code, LATIN_MARKS))


def _words(code: str, rng: random.Random) -> list[str]:
    """Common words first; the rarer a word, the longer it tends to be."""
    syllables = SYLLABLES[code].split()
    words = list(dict.fromkeys(COMMON[code].split()))
    known = set(words)
    joint = "_" if code == "code" else ""
    while len(words) < KINDS:
        size = 2 + (len(words) > 400) * rng.randint(0, 1) + (len(words) > 4000) * rng.randint(0, 1)
        word = joint.join(rng.choice(syllables) for _ in range(size))
        if code == "de" and rng.random() < 0.4:
            word = word.capitalize()
        if word not in known:
            known.add(word)
            words.append(word)
    return words


def _characters(rng: random.Random) -> list[str]:
    """Words of one to three signs out of 2,400, some of them far commoner than others."""
    common = COMMON["zh"].split()
    signs = [chr(point) for point in rng.sample(range(0x4E00, 0x9FA0), 2400)]
    words = list(dict.fromkeys(common))
    known = set(words)
    while len(words) < KINDS:
        size = rng.choice((1, 2, 2, 2, 3))
        word = "".join(signs[int(len(signs) * rng.random() ** 2.5)] for _ in range(size))
        if word not in known:
            known.add(word)
            words.append(word)
    return words
