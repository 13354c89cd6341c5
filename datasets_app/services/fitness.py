"""What a version must be before anything is trained on it."""

from datasets_app import ingest, selectors
from datasets_app.domain.purposes import Purpose
from datasets_app.models import DatasetVersion, Stage
from datasets_app.services.versions import ensure_overlaps
from projects.domain.errors import Invalid, Refused


def refuse_unreleased(version: DatasetVersion, field: str = "dataset_version") -> None:
    """Proposed and declined versions can be looked at, and that is all."""
    if version.stage != Stage.RELEASED:
        word = "only proposed; a second person has to merge it first" if version.stage == Stage.PROPOSED else "declined"
        raise Refused(f"{version} is {word}. Choose a released version.", code="not_released", field=field)


def refuse_unfit(version: DatasetVersion, *, leak_reason: str = "") -> None:
    """Released, compared with every golden set, within the policy on models' rows; golden rows only with a reason."""
    refuse_unreleased(version)
    ensure_overlaps(version)
    breaches = selectors.policy_breaches(version)
    if breaches:
        raise Refused(
            f"{breaches[0]} Drop rows by origin, or ask an owner to change the policy in the project's settings.",
            code="origin_policy",
            field="dataset_version",
        )
    leaks = [overlap for overlap in selectors.overlaps(version) if overlap.total]
    if leaks and version.dataset.purpose == Purpose.TRAINING and not leak_reason.strip():
        worst = max(leaks, key=lambda overlap: overlap.total)
        rows = "1 row" if worst.total == 1 else f"{worst.total} rows"
        raise Invalid(
            f"{rows} of {version} also stand in the golden set {worst.golden_version}, so scores on it would say how "
            "well the adapter remembers. Drop them on the page of the version, or say why to train on them anyway.",
            code="contaminated",
            field="leak_reason",
        )


def compare_soon(version: DatasetVersion, *, actor: str) -> None:
    """Queue the comparisons that a start would wait for."""
    ingest.queue_comparison(version, actor=actor)


def count_shared_soon(version: DatasetVersion, held_out: DatasetVersion, *, actor: str, again: bool = False) -> None:
    """Queue the counting of rows that data to train on shares with data held out of it, where nobody has yet."""
    ingest.queue_sharing(version, held_out, actor=actor, again=again)
