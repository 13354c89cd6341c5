"""Reads about adapters on versions of their base: structure verdicts, comparisons, proofs and decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet

from projects.domain.errors import Refused
from projects.models import Project
from training.domain import anatomy, compatibility, versions
from training.domain.compatibility import Base, Fitted, Judgement
from training.models import Adapter, BaseDecision, BaseModelVersion, EffectProof, Run

MOST_VERDICTS = 10_000
DECISION_FIELD = "base_decision_reason"  # with which forms and requests answer for a pair themselves
_verdicts: dict[tuple[Any, ...], Judgement] = {}  # of this process, by the hashes of what was judged


@dataclass(frozen=True)
class OtherBase:
    """What has to be said of whatever used an adapter on another base than it was trained on."""

    adapter: Adapter
    base: BaseModelVersion
    judgement: Judgement
    decision: BaseDecision | None


def described(base: BaseModelVersion) -> Base:
    """A base as verdicts see it."""
    return Base(
        name=str(base),
        fingerprint=base.fingerprint,
        parts=base.parts,
        anatomy=_facts(base),
        context=base.context_length,
        vocabulary=base.vocab_size,
        architecture=base.architecture,
        ready=base.is_ready,
    )


def fitted(adapter: Adapter) -> Fitted:
    """An adapter as verdicts see it."""
    facts = _facts(adapter)
    recipe = adapter.run.recipe if adapter.run else {}
    return Fitted(
        name=str(adapter),
        rank=adapter.rank,
        tensors=anatomy.unfold(facts.get("tensors", {})),
        transposed=bool(facts.get("transposed")),
        longest=int(recipe.get("max_length") or 0),
        proven=not adapter.is_unproven,
    )


def _facts(row: Any) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = row.anatomy.facts
    except ObjectDoesNotExist:
        return {}
    return found


def structure(adapter: Adapter, base: BaseModelVersion) -> Judgement:
    """The verdict that needs no weights. A page asks for hundreds, and what they are judged by never changes."""
    known = tuple(bool(_facts(row)) for row in (adapter, adapter.base, base))
    of_adapter = (str(adapter), adapter.digest, adapter.rank, adapter.is_unproven, adapter.run_id)
    of_bases = tuple((str(row), row.fingerprint, row.is_ready) for row in (adapter.base, base))
    key = (of_adapter, of_bases, known)
    if (found := _verdicts.get(key)) is None:
        found = compatibility.judge(fitted(adapter), described(adapter.base), described(base))
        if len(_verdicts) >= MOST_VERDICTS:
            _verdicts.clear()
        _verdicts[key] = found
    return found


def compared_bases(one: BaseModelVersion, other: BaseModelVersion) -> versions.Comparison:
    return versions.compare(described(one), described(other))


def decisions(project: Project) -> QuerySet[BaseDecision]:
    return project.base_decisions.select_related("adapter", "base", "decided_by").order_by("-pk")


def standing_decision(adapter: Adapter, base: BaseModelVersion) -> BaseDecision | None:
    """The decision that holds: the newest, unless it takes an earlier one back."""
    newest = decisions(adapter.project).filter(adapter=adapter, base=base).first()
    return newest if newest and newest.allowed else None


def standing_decisions(project: Project, adapters: Iterable[Adapter]) -> dict[tuple[int, int], BaseDecision]:
    """The same for many, by (adapter, base)."""
    found: dict[tuple[int, int], BaseDecision] = {}
    for row in decisions(project).filter(adapter__in=adapters):
        found.setdefault((row.adapter_id, row.base_id), row)
    return {pair: row for pair, row in found.items() if row.allowed}


def other_base(run: Run) -> OtherBase | None:
    """A run that went on from an adapter of another version of its base; None for all others."""
    parent = run.parent_adapter
    if parent is None or parent.base.fingerprint == run.base.fingerprint:
        return None
    return OtherBase(parent, run.base, structure(parent, run.base), standing_decision(parent, run.base))


def is_undecided(adapter: Adapter, base: BaseModelVersion) -> bool:
    """Whether somebody could and would have to answer for this pair before it is used."""
    if adapter.base.fingerprint == base.fingerprint or standing_decision(adapter, base) is not None:
        return False
    return structure(adapter, base).verdict != compatibility.Verdict.INCOMPATIBLE


def refuse_undecided(adapter: Adapter, base: BaseModelVersion, field: str = "base") -> None:
    """An adapter is used on another version of its base only when it fits and somebody answers for it."""
    if adapter.base.fingerprint == base.fingerprint:
        return
    found = structure(adapter, base)
    if found.verdict == compatibility.Verdict.INCOMPATIBLE:
        raise Refused(
            f"{adapter} does not belong on {base}: {found.reasons[0].text}", code="base_incompatible", field=field
        )
    if standing_decision(adapter, base) is None:
        raise Refused(
            f"{adapter} was trained on {adapter.base}, and {base} is {found.verdict.value}: "
            f"{found.reasons[0].text if found.reasons else ''} Say why it may be used there ({DECISION_FIELD}), "
            "or decide on this pair under Compatibility.",
            code="base_not_same",
            field=field,
        )


def proofs(adapter: Adapter) -> QuerySet[EffectProof]:
    return adapter.proofs.order_by("pk")
