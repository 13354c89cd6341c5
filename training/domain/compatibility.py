"""Does an adapter run on another version of its base, and is it still the adapter that was judged? By structure alone.

Every reason has a code and says how far it goes; the verdict is the worst of them. What structure cannot tell, such as
whether other weights still say the same, is left to probes (`evaluation.domain.drift`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from training.domain import anatomy, integrity
from training.domain.findings import some


class Verdict(StrEnum):
    """From good to bad. Unknown is last: nobody may take it for a yes."""

    SAME = "same"
    COMPATIBLE = "compatible"
    DRIFTED = "drifted"
    INCOMPATIBLE = "incompatible"
    UNKNOWN = "unknown"


VERDICTS = [(one.value, one.value.capitalize()) for one in Verdict]
ORDER = list(Verdict)
# Each verdict as a state of the page: word, tone.
TONES = {
    Verdict.SAME: "succeeded",
    Verdict.COMPATIBLE: "succeeded",
    Verdict.DRIFTED: "attention",
    Verdict.INCOMPATIBLE: "failed",
    Verdict.UNKNOWN: "waiting",
}
TITLES = {
    Verdict.SAME: "The very files it was trained on.",
    Verdict.COMPATIBLE: "Other files that say the same.",
    Verdict.DRIFTED: "It loads without a word and is not what was judged.",
    Verdict.INCOMPATIBLE: "It does not belong to this version.",
    Verdict.UNKNOWN: "Too little is known to say.",
}


@dataclass(frozen=True)
class Reason:
    """One difference: a code for programs, a sentence for people, and the best verdict that it leaves possible."""

    code: str
    text: str
    verdict: Verdict

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "text": self.text, "verdict": self.verdict.value}


@dataclass(frozen=True)
class Judgement:
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()

    @property
    def codes(self) -> list[str]:
        return [reason.code for reason in self.reasons]

    @property
    def words(self) -> list[str]:
        """The codes as they are read in a cell, where the sentences have no room."""
        return [code.replace("_", " ") for code in self.codes]

    @property
    def title(self) -> str:
        return TITLES[self.verdict]

    @property
    def tone(self) -> str:
        return TONES[self.verdict]

    @property
    def may_be_probed(self) -> bool:
        """Whether both versions can be loaded with the adapter and asked the same."""
        return self.verdict != Verdict.INCOMPATIBLE

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"reasons": [reason.as_dict() for reason in self.reasons]}


@dataclass(frozen=True)
class Base:
    """What is recorded of a base-model version. `anatomy` is empty where it was registered before that was kept."""

    name: str
    fingerprint: str
    parts: Mapping[str, Any] = field(default_factory=dict)
    anatomy: Mapping[str, Any] = field(default_factory=dict)
    context: int = 0
    vocabulary: int = 0
    architecture: str = ""
    ready: bool = True


@dataclass(frozen=True)
class Fitted:
    """What is recorded of an adapter: its rank and the shapes of its tensors; none where they were not kept."""

    name: str
    rank: int
    tensors: integrity.Shapes = field(default_factory=dict)
    transposed: bool = False  # PEFT's fan_in_fan_out
    longest: int = 0  # tokens of the longest row it was trained with; 0: not known
    proven: bool = True  # that its base is the one it was trained on


def judge(adapter: Fitted, own: Base, other: Base) -> Judgement:
    """The structure verdict of an adapter of `own` on `other`."""
    if not other.ready:
        return _judged([Reason("not_ready", f"{other.name} is not ready: its files are not hashed.", Verdict.UNKNOWN)])
    if own.fingerprint == other.fingerprint:
        return _same(adapter)
    reasons = [*_about_shapes(adapter, own, other), *_about_tokens(own, other), *_about_the_rest(adapter, own, other)]
    if not adapter.proven:
        text = f"Nothing proves that it was trained on {own.name}, so what differs from that may not matter."
        reasons.append(Reason("base_unproven", text, Verdict.UNKNOWN))
    return _judged(reasons)


def _same(adapter: Fitted) -> Judgement:
    if adapter.proven:
        return Judgement(Verdict.SAME)
    text = "It stands on this version, but nothing proves that it was trained on it."
    return _judged([Reason("base_unproven", text, Verdict.UNKNOWN)])


def _judged(reasons: Sequence[Reason]) -> Judgement:
    """The worst reason decides; incompatible is known even where other things are not."""
    verdicts = {reason.verdict for reason in reasons}
    if Verdict.INCOMPATIBLE in verdicts:
        verdict = Verdict.INCOMPATIBLE
    else:
        verdict = max(verdicts, key=ORDER.index, default=Verdict.COMPATIBLE)
    return Judgement(verdict, tuple(sorted(reasons, key=lambda reason: -ORDER.index(reason.verdict))))


def _about_shapes(adapter: Fitted, own: Base, other: Base) -> list[Reason]:
    """Names, shapes and rank: what would break when it is loaded, or load and mean something else."""
    if own.architecture and other.architecture and own.architecture != other.architecture:
        text = f"{other.name} is a {other.architecture}, and it was trained on a {own.architecture}."
        return [Reason("architecture", text, Verdict.INCOMPATIBLE)]
    if not other.anatomy or not own.anatomy or not adapter.tensors:
        lacking = [one.name for one in (own, other) if not one.anatomy] + [adapter.name] * (not adapter.tensors)
        text = f"The shapes of {some(lacking)} were not recorded. Probing the pair records them."
        return [Reason("not_recorded", text, Verdict.UNKNOWN)]
    mine, theirs = (anatomy.unfold(base.anatomy["tensors"]) for base in (own, other))
    found = _misfits(anatomy.known(adapter.tensors), adapter.rank, theirs, adapter.transposed)
    if not found and (changed := _reshaped(mine, theirs)):
        text = f"Layers beside the adapted ones have changed: {some(changed, 3)}."
        return [Reason("shapes", text, Verdict.DRIFTED)]
    return list(found)


@lru_cache(maxsize=4096)
def _misfits(shapes: anatomy.Known, rank: int, theirs: anatomy.Known, transposed: bool) -> list[Reason]:
    """What would break; adapters of one recipe have the same shapes, and a page holds hundreds of pairs."""
    if wrong := integrity.about_pairs(shapes, rank):
        return [Reason("rank", wrong[0].text, Verdict.INCOMPATIBLE)]
    wrong = integrity.about_base(shapes, theirs, transposed=transposed)
    return [Reason(one.code, one.text, Verdict.INCOMPATIBLE) for one in wrong]


@lru_cache(maxsize=1024)
def _reshaped(mine: anatomy.Known, theirs: anatomy.Known) -> list[str]:
    return reshaped(mine, theirs)


def reshaped(mine: integrity.Shapes, theirs: integrity.Shapes) -> list[str]:
    """Tensors that only one of two models has, or that have another shape, in words."""
    found = [f"{name} is gone" for name in sorted(set(mine) - set(theirs))]
    found += [f"{name} is new" for name in sorted(set(theirs) - set(mine))]
    both = sorted(set(mine) & set(theirs))
    return [f"{n} {_sides(mine[n])} → {_sides(theirs[n])}" for n in both if mine[n] != theirs[n]] + found


def _sides(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "packed"


def _about_tokens(own: Base, other: Base) -> list[Reason]:
    """Vocabulary, tokenizer files and special tokens: whether the same text still becomes the same numbers."""
    found = []
    if own.vocabulary and other.vocabulary and own.vocabulary != other.vocabulary:
        text = f"Its embedding has {other.vocabulary:,} rows instead of {own.vocabulary:,}."
        found.append(Reason("vocabulary", text, Verdict.DRIFTED))
    if own.parts.get("tokenizer") == other.parts.get("tokenizer"):
        return found
    mine, theirs = own.anatomy.get("tokenizer"), other.anatomy.get("tokenizer")
    if not mine or not theirs:
        text = "Its tokenizer files are others, and what they say was not recorded. Probing the pair records it."
        return [*found, Reason("tokenizer", text, Verdict.UNKNOWN)]
    if mine["vocabulary"] != theirs["vocabulary"]:
        counts = f"{theirs['tokens']:,} tokens instead of {mine['tokens']:,}"
        told = counts if mine["tokens"] != theirs["tokens"] else "as many tokens under other numbers"
        text = f"Its tokenizer is another one ({told}): the adapter would hear noise."
        found.append(Reason("tokenizer", text, Verdict.INCOMPATIBLE))
    elif mine["rules"] != theirs["rules"]:
        text = "Its tokenizer cuts text into other pieces, of the same vocabulary."
        found.append(Reason("tokenizer_rules", text, Verdict.DRIFTED))
    return found + _about_special(mine["special"], theirs["special"])


def _about_special(mine: Mapping[str, str], theirs: Mapping[str, str]) -> list[Reason]:
    changed = [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]
    if not changed:
        return []
    told = some([f"{name} “{mine.get(name, '')}” → “{theirs.get(name, '')}”" for name in changed])
    # An adapter learns where to stop; where that is another token its answers do not end.
    ends = "eos_token" in changed
    text = f"Its special tokens are others: {told}."
    text += " Answers would not end where it learnt to end." if ends else ""
    return [Reason("special_tokens", text, Verdict.INCOMPATIBLE if ends else Verdict.DRIFTED)]


def _about_the_rest(adapter: Fitted, own: Base, other: Base) -> list[Reason]:
    found = []
    if own.parts.get("chat_template") != other.parts.get("chat_template"):
        text = "Its chat template writes turns down differently from what the adapter learnt."
        found.append(Reason("chat_template", text, Verdict.DRIFTED))
    if told := weights_told(own.parts.get("weights", {}), other.parts.get("weights", {})):
        text = f"Its weights are others ({told}). Nothing would crash; probing the pair measures what that does."
        found.append(Reason("weights", text, Verdict.DRIFTED))
    found += _about_context(adapter, own, other)
    found += _about_config(own, other)
    if own.parts.get("generation_config") != other.parts.get("generation_config"):
        text = "Its defaults for writing answers are others; the network is not."
        found.append(Reason("generation_config", text, Verdict.COMPATIBLE))
    return found


def weights_told(mine: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """How many files of weights differ, by their sha256; empty for none."""
    if dict(mine) == dict(theirs):
        return ""
    if sorted(mine.values()) == sorted(theirs.values()):
        return "the same files under other names"
    same = len(set(mine.values()) & set(theirs.values()))
    return f"{len(theirs) - same} of {len(theirs)} files by their sha256"


def _about_context(adapter: Fitted, own: Base, other: Base) -> list[Reason]:
    if not own.context or not other.context or own.context == other.context:
        return []
    text = f"It sees {other.context:,} tokens instead of {own.context:,}."
    if adapter.longest > other.context:
        text += f" The adapter was trained on rows of up to {adapter.longest:,}."
        return [Reason("context", text, Verdict.INCOMPATIBLE)]
    return [Reason("context", text, Verdict.DRIFTED if other.context < own.context else Verdict.COMPATIBLE)]


def config_changes(own: Base, other: Base) -> list[str]:
    """Fields of config.json that differ, in words."""
    mine, theirs = own.anatomy.get("config", {}), other.anatomy.get("config", {})
    names = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
    return [f"{name} {mine.get(name, 'none')} → {theirs.get(name, 'none')}" for name in names]


# Told by reasons of their own.
ELSEWHERE = ("vocab_size", "max_position_embeddings", "n_positions", "architectures", "eos_token_id", "pad_token_id")


def _about_config(own: Base, other: Base) -> list[Reason]:
    if own.parts.get("config") == other.parts.get("config"):
        return []
    if not own.anatomy or not other.anatomy:
        return []  # told by not_recorded
    changed = [told for told in config_changes(own, other) if told.split(" ")[0].rpartition(".")[2] not in ELSEWHERE]
    if not changed:
        text = "Its config.json is written differently and says the same of the network."
        return [Reason("config_text", text, Verdict.COMPATIBLE)]
    return [Reason("config", f"Its config says otherwise: {some(changed, 3)}.", Verdict.DRIFTED)]
