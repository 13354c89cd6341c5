"""Which of the registered bases an imported adapter was trained on, and how sure that is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from projects.domain.errors import Invalid
from training.domain.findings import Finding

EXACT_REVISION = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?", re.ASCII)  # a commit, or a fingerprint of ours


class Proof(StrEnum):
    """What ties an adapter to its base."""

    EXACT = "exact"
    NAME = "name"
    DECLARED = "declared"


WORDS = {
    Proof.EXACT: "Its config names exactly this version",
    Proof.NAME: "Same name, but not this version: unproven",
    Proof.DECLARED: "Declared by whoever imported it: unproven",
}
PROOFS = [(proof.value, words) for proof, words in WORDS.items()]


@dataclass(frozen=True)
class Candidate:
    """A base of the registry."""

    id: int
    name: str
    repo_id: str
    revision: str
    fingerprint: str

    @property
    def names(self) -> set[str]:
        return {name.casefold() for name in (self.name, self.repo_id) if name}

    @property
    def versions(self) -> set[str]:
        return {version for version in (self.revision, self.fingerprint) if EXACT_REVISION.fullmatch(version)}


@dataclass(frozen=True)
class Match:
    base: Candidate
    proof: Proof
    findings: tuple[Finding, ...] = ()


class NoBase(Invalid):
    """The adapter's base is not to be found."""

    code = "base_not_found"


def match(config: dict[str, Any], candidates: Sequence[Candidate], chosen: int | None = None) -> Match:
    """The base that a config names, or the one that a person has chosen; raises NoBase."""
    name, revision = str(config.get("base_model_name_or_path") or ""), str(config.get("revision") or "")
    known = {one.id: one for one in candidates}
    base = known[chosen] if chosen in known else _found(name, revision, candidates)
    proof = _proof(base, name, revision)
    return Match(base, proof, tuple(_about(base, proof, name, revision)))


def _found(name: str, revision: str, candidates: Sequence[Candidate]) -> Candidate:
    exact = [one for one in candidates if revision in one.versions]
    alike = [one for one in candidates if name.casefold() in one.names]
    found = [one for one in exact if one in alike] or exact or alike
    if len(found) == 1:
        return found[0]
    if found:
        raise NoBase(
            f"{len(found)} registered base models are called “{name[:120]}”. Choose the one it was trained on.",
            code="base_ambiguous",
            field="base",
        )
    told = f"It names “{name[:120]}” as its base" if name else "It does not say what its base is"
    raise NoBase(
        f"{told}, and no registered base model is that. Register it, or choose one yourself.",
        code="base_not_found",
        field="base",
    )


def _proof(base: Candidate, name: str, revision: str) -> Proof:
    if revision in base.versions:
        return Proof.EXACT
    return Proof.NAME if name.casefold() in base.names else Proof.DECLARED


def _about(base: Candidate, proof: Proof, name: str, revision: str) -> list[Finding]:
    if proof == Proof.EXACT:
        return []
    if EXACT_REVISION.fullmatch(revision) and base.versions:
        return [
            Finding(
                "revision_differs",
                f"It was trained on the version {revision[:12]} of its base, and {base.name} is another one. "
                "Register that version and import the adapter again.",
                "revision",
                refuses=False,
            )
        ]
    told = "does not say which version of it" if proof == Proof.NAME else f"names “{name[:120]}”"
    return [
        Finding(
            "base_unproven",
            f"Nothing proves that it was trained on {base.name}: its config {told}. "
            "Import it again with the exact commit or fingerprint as “revision”.",
            "revision",
            refuses=False,
        )
    ]
