"""What is kept of bases and adapters besides their files: anatomies, and the first proof of what an adapter does."""

from collections.abc import Mapping
from typing import Any

from projects.models import LeasedJob
from training.domain import anatomy, proofs
from training.models import Adapter, AdapterAnatomy, BaseAnatomy, BaseModelVersion, EffectProof

MOST_NUMERICS = 40


def describe(base: BaseModelVersion, facts: Mapping[str, Any] | None) -> None:
    """Remember the anatomy of a base, once."""
    if facts:
        BaseAnatomy.objects.get_or_create(base=base, defaults={"facts": dict(facts)})


def keep(adapter: Adapter, made: Mapping[str, Any], *, by: LeasedJob) -> None:
    """Remember what came with an adapter when it was made or first loaded: its anatomy and its proof."""
    if facts := made.get("anatomy"):
        AdapterAnatomy.objects.get_or_create(adapter=adapter, defaults={"facts": dict(facts)})
    if observed := made.get("proof"):
        found = proofs.Observation.read(observed)
        EffectProof.objects.get_or_create(
            adapter=adapter,
            numerics=found.numerics[:MOST_NUMERICS],
            defaults={
                "observed": dict(observed),
                "effect": found.effect,
                "job_label": by.job_label,
                "job_id": by.pk,
                "digest": anatomy.digest(observed),
            },
        )


def stored(adapter: Adapter) -> dict[str, Any]:
    """What an engine needs to prove an adapter that it has loaded: see training.engine.proof.check."""
    known = AdapterAnatomy.objects.filter(adapter=adapter).first()
    return {
        "weights": known.facts if known else None,
        "observed": {row.numerics: row.observed for row in adapter.proofs.all()},
    }
