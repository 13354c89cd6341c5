"""What is wrong with the files of a model, one thing at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

NAMED = 5


# What each code of a finding that does not keep an adapter out means, in a few words.
TITLES = {
    "base_unproven": "Its base is unproven",
    "revision_differs": "Trained on another version of its base",
    "tokenizer_differs": "It brings another tokenizer than its base has",
    "template_differs": "It brings another chat template than its base has",
    "rank_beyond_servers": "Its rank is beyond what servers take",
    "no_effect": "It changes nothing",
    "norm_outlier": "Some layers are changed far more than the others",
}


@dataclass(frozen=True)
class Finding:
    """A code for programs, a sentence for people, and the place: a file, a key or a tensor.

    One that `refuses` keeps the files out. The others are kept with the adapter, and nothing goes live with them.
    """

    code: str
    text: str
    where: str = ""
    refuses: bool = True

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def title(self) -> str:
        return TITLES.get(self.code, self.code.replace("_", " ").capitalize())

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> "Finding":
        return cls(str(raw["code"]), str(raw["text"]), str(raw.get("where", "")), bool(raw.get("refuses", True)))


def some(names: Sequence[str], few: int = NAMED) -> str:
    """The first few of many: a, b and 7 more."""
    shown = ", ".join(name[:120] for name in names[:few])
    return f"{shown} and {len(names) - few} more" if len(names) > few else shown


def refusing(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.refuses]


def told(findings: Sequence[Finding]) -> str:
    """All of them in one text: the first in full, the others by their codes."""
    if not findings:
        return ""
    others = sorted({finding.code for finding in findings[1:]} - {findings[0].code})
    return findings[0].text + (f" Also: {', '.join(others)}." if others else "")
