"""Licences of base models that are known, and what they ask of whoever uses an adapter of such a model.

Facts for people who decide, read from the texts of the licences; they are no legal advice. What is not listed here is
unknown, and said to be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Duty(StrEnum):
    ATTRIBUTION = "attribution"
    NAMING = "naming"
    ACCEPTABLE_USE = "acceptable_use"
    USER_LIMIT = "user_limit"
    OUTPUTS = "outputs"
    SHARE_ALIKE = "share_alike"
    REGION = "region"


WORDS: Mapping[Duty, str] = {
    Duty.ATTRIBUTION: "Attribution",
    Duty.NAMING: "Naming",
    Duty.ACCEPTABLE_USE: "Acceptable use",
    Duty.USER_LIMIT: "User limit",
    Duty.OUTPUTS: "Outputs",
    Duty.SHARE_ALIKE: "Share alike",
    Duty.REGION: "Region",
}


@dataclass(frozen=True)
class Licence:
    """One licence by the identifier that model cards use. `commercial`: None where it depends on what is done."""

    id: str
    title: str
    url: str
    commercial: bool | None = True
    most_users: int | None = None
    duties: Mapping[Duty, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """What binds users of one base: its licence, if that is known, and what people have written down."""

    licence: str
    known: Licence | None
    link: str = ""
    own: str = ""

    @property
    def title(self) -> str:
        return self.known.title if self.known else self.licence

    @property
    def url(self) -> str:
        """Where its text is; the card's own link counts more than the general one."""
        return self.link or (self.known.url if self.known else "")

    @property
    def commercial(self) -> bool | None:
        return self.known.commercial if self.known else None

    @property
    def use(self) -> str:
        """Whether it may be used in a business, in a sentence."""
        if self.known is None:
            return f"Not known: {'this licence is not in the table' if self.licence else 'no licence is stated'}."
        return {
            True: "Allowed, under the terms below." if self.known.duties else "Allowed.",
            False: "Not allowed without another licence.",
            None: "Depends on how it is used: read its text.",
        }[self.known.commercial]

    @property
    def tone(self) -> str:
        return {True: "succeeded", False: "failed", None: "attention"}[self.commercial]

    @property
    def duties(self) -> list[tuple[str, str]]:
        """Name and sentence of each duty, in one order for all licences."""
        found = self.known.duties if self.known else {}
        return [(WORDS[duty], found[duty]) for duty in Duty if duty in found]

    def as_dict(self) -> dict[str, Any]:
        found = self.known.duties if self.known else {}
        return {
            "licence": self.licence,
            "known": self.known is not None,
            "title": self.title,
            "url": self.url,
            "commercial": self.commercial,
            "most_users": self.known.most_users if self.known else None,
            "duties": [{"code": duty.value, "text": found[duty]} for duty in Duty if duty in found],
            "own": self.own,
        }


def terms(licence: str, link: str = "", own: str = "") -> Terms:
    return Terms(licence, find(licence), link, own)


def find(name: str) -> Licence | None:
    """The known licence of this name, however a card spells it; None for one that is not known."""
    wanted = "-".join(name.lower().replace("_", "-").split())
    return LICENCES.get(ALIASES.get(wanted, wanted))


NOTICE = "Pass on the licence and its notices with every copy."
CHANGED = "Pass on the licence and its notices with every copy, and say which files were changed."
CREDIT = "Name the author, link the licence and say what was changed."
RAIL = "Its list of forbidden uses binds you, and must be passed on in the terms of whatever is made from the model."


def _plain(name: str, title: str, url: str, attribution: str = NOTICE) -> Licence:
    return Licence(name, title, url, duties={Duty.ATTRIBUTION: attribution} if attribution else {})


def _commons(name: str, title: str, *, commercial: bool = True, alike: bool = False) -> Licence:
    kind = name.removeprefix("cc-").removesuffix("-4.0")
    alike_too = {Duty.SHARE_ALIKE: "What is made from it is published under the same licence only."} if alike else {}
    url = f"https://creativecommons.org/licenses/{kind}/4.0/"
    return Licence(name, title, url, commercial, duties={Duty.ATTRIBUTION: CREDIT} | alike_too)


def _copyleft(name: str, title: str, *, network: bool = False) -> Licence:
    text = "Whoever receives it, or what is made from it, gets it under the same licence, with its source."
    if network:
        text += " So does whoever uses it over a network."
    url = f"https://www.gnu.org/licenses/{name.removesuffix('.0')}.0.html"
    return Licence(name, title, url, duties={Duty.ATTRIBUTION: CHANGED, Duty.SHARE_ALIKE: text})


def _rail(name: str, title: str, url: str) -> Licence:
    return Licence(name, title, url, duties={Duty.ATTRIBUTION: CHANGED, Duty.ACCEPTABLE_USE: RAIL})


def _llama(version: str, *, built: str = "", prefix: str = "", outputs: str = "", region: str = "") -> Licence:
    """Meta's community licences: alike but for the clauses that changed from one version to the next."""
    title = f"Llama {version} Community License"
    duties = {
        Duty.ATTRIBUTION: f"Pass on the agreement, and a notice file that says “Llama {version} is licensed under the "
        f"{title}” with Meta's copyright line."
        + (f" Show “{built}” on a page or product that uses it." if built else ""),
        Duty.ACCEPTABLE_USE: "Meta's acceptable use policy for this version binds you.",
        Duty.USER_LIMIT: "Who had more than 700 million monthly active users when it came out must ask Meta.",
    }
    if prefix:
        duties[Duty.NAMING] = f"The name of a model that is made from it and passed on begins with “{prefix}”."
    if outputs:
        duties[Duty.OUTPUTS] = outputs
    if region:
        duties[Duty.REGION] = region
    slug = f"llama{version.replace('.', '_')}"
    return Licence(f"llama{version}", title, f"https://www.llama.com/{slug}/license/", True, 700_000_000, duties)


NO_OTHERS = "Its answers may not be used to improve other large language models, except those of its own family."
NAMED_TOO = "A model that is trained or improved with its answers and passed on must carry the name as well."
NOT_IN_EU = "Not granted to people and companies of the European Union as far as it is multimodal."

LICENCES: dict[str, Licence] = {
    licence.id: licence
    for licence in (
        _plain("apache-2.0", "Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0", CHANGED),
        _plain("mit", "MIT License", "https://opensource.org/license/mit"),
        _plain("bsd-3-clause", "BSD 3-Clause License", "https://opensource.org/license/bsd-3-clause"),
        _plain("bsd-2-clause", "BSD 2-Clause License", "https://opensource.org/license/bsd-2-clause"),
        _plain("isc", "ISC License", "https://opensource.org/license/isc-license-txt"),
        _plain("cc0-1.0", "Creative Commons Zero 1.0", "https://creativecommons.org/publicdomain/zero/1.0/", ""),
        _plain("unlicense", "The Unlicense", "https://unlicense.org/", ""),
        _commons("cc-by-4.0", "Creative Commons Attribution 4.0"),
        _commons("cc-by-sa-4.0", "Creative Commons Attribution Share Alike 4.0", alike=True),
        _commons("cc-by-nc-4.0", "Creative Commons Attribution Non Commercial 4.0", commercial=False),
        _commons(
            "cc-by-nc-sa-4.0", "Creative Commons Attribution Non Commercial Share Alike 4.0",
            commercial=False, alike=True,
        ),
        _copyleft("gpl-3.0", "GNU General Public License 3.0"),
        _copyleft("agpl-3.0", "GNU Affero General Public License 3.0", network=True),
        _rail(
            "bigscience-bloom-rail-1.0", "BigScience BLOOM RAIL 1.0",
            "https://huggingface.co/spaces/bigscience/license",
        ),
        _rail("bigscience-openrail-m", "BigScience OpenRAIL-M", "https://bigscience.huggingface.co/blog/bigscience-openrail-m"),
        _rail(
            "bigcode-openrail-m", "BigCode OpenRAIL-M 1",
            "https://huggingface.co/spaces/bigcode/bigcode-model-license-agreement",
        ),
        _rail("openrail", "OpenRAIL", "https://huggingface.co/blog/open_rail"),
        _llama("2", outputs=NO_OTHERS),
        _llama("3", built="Built with Meta Llama 3", prefix="Llama 3", outputs=NO_OTHERS),
        _llama("3.1", built="Built with Llama", prefix="Llama", outputs=NAMED_TOO),
        _llama("3.2", built="Built with Llama", prefix="Llama", outputs=NAMED_TOO, region=NOT_IN_EU),
        _llama("3.3", built="Built with Llama", prefix="Llama", outputs=NAMED_TOO),
        _llama("4", built="Built with Llama", prefix="Llama", outputs=NAMED_TOO, region=NOT_IN_EU),
        Licence(
            "gemma", "Gemma Terms of Use", "https://ai.google.dev/gemma/terms",
            duties={
                Duty.ATTRIBUTION: "Pass on the terms with a notice that the model is under them; mark changed files.",
                Duty.ACCEPTABLE_USE: "Google's prohibited use policy binds you, and is passed on in your own terms.",
            },
        ),
        Licence(
            "qwen", "Qwen License Agreement", "https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE",
            most_users=100_000_000,
            duties={
                Duty.ATTRIBUTION: CHANGED,
                Duty.NAMING: "Show “Built with Qwen” or “Improved using Qwen” with a model that is trained with it or "
                "with its answers and is passed on.",
                Duty.USER_LIMIT: "More than 100 million monthly active users need a licence of Alibaba Cloud's own.",
            },
        ),
        Licence(
            "qwen-research", "Qwen Research License Agreement",
            "https://huggingface.co/Qwen/Qwen2.5-3B-Instruct/blob/main/LICENSE", False,
            duties={
                Duty.ATTRIBUTION: CHANGED,
                Duty.NAMING: "Show “Built with Qwen” or “Improved using Qwen” with a model that is trained with it or "
                "with its answers and is passed on.",
            },
        ),
        Licence(
            "mrl", "Mistral AI Research License", "https://mistral.ai/licenses/MRL-0.1.md", False,
            duties={Duty.ATTRIBUTION: CHANGED},
        ),
    )
}  # fmt: skip
# Other spellings, as cards and `license_name` have them.
ALIASES = {
    "apache2": "apache-2.0",
    "apache-2": "apache-2.0",
    "apache-license-2.0": "apache-2.0",
    "mit-license": "mit",
    "tongyi-qianwen": "qwen",
    "qwen-license": "qwen",
    "mistral-ai-research-licence": "mrl",
    "agpl-3": "agpl-3.0",
    "gpl-3": "gpl-3.0",
    "llama-2": "llama2",
    "llama-3": "llama3",
    "llama-3.1": "llama3.1",
    "llama-3.2": "llama3.2",
    "llama-3.3": "llama3.3",
    "llama-4": "llama4",
}
# What cards say where a licence has no identifier of its own: its name stands in `license_name` then.
NAMELESS = frozenset({"other", "unknown"})


def named(licence: str, name: str) -> str:
    """What a card calls its licence: the name beside “other”, where there is one."""
    return name if name and licence.lower() in NAMELESS | {""} else licence


def as_markdown() -> str:
    """The table as docs/licences.md has it."""
    rows = [f"# Licences that are known\n\n{INTRO}\n"]
    for licence in LICENCES.values():
        use = terms(licence.id).use
        rows.append(f"## {licence.title}\n\n`{licence.id}` · [text]({licence.url})\n")
        rows.append(
            "\n".join([f"- Commercial use: {use}", *(f"- {name}: {text}" for name, text in terms(licence.id).duties)])
        )
        rows.append("")
    return "\n".join(rows)


INTRO = """\
Written by `python -m training.domain.licences`. What model cards call them, and what they ask of whoever uses an
adapter of such a model, shown where an adapter is judged, taken out or live. A summary for people who decide, no legal
advice: the text counts. A licence that is not listed is said to be unknown; somebody reads its text and writes down
what it asks on the page of the base."""

if __name__ == "__main__":
    print(as_markdown(), end="")
