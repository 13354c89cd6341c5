"""Reads of counted data: what a limit cuts, which rows tell much, and rows as a base sees them."""

import json
from functools import lru_cache
from typing import Any

from datasets_app.models import DatasetVersion
from projects import artefacts
from training.domain.tokens import SEEN_FILE
from training.models import BaseModelVersion, Run, SeenRow, TokenProfile


def profile_for(version: DatasetVersion, base: BaseModelVersion) -> TokenProfile | None:
    return TokenProfile.objects.filter(version=version, base=base).first()


def held_out_profile(run: Run) -> TokenProfile | None:
    """The counts of a run's validation data, ready or not; None without such data, or where nobody has asked."""
    return profile_for(run.validation_version, run.base) if run.validation_version else None


def token_stats(profile: TokenProfile, max_length: int) -> dict[str, Any]:
    """What the counted data is under this limit; worked out from the stored counts, not counted again."""
    return dict(_under(profile.key, digest_of(profile), max_length))


def lost_rows(profile: TokenProfile, max_length: int, what: str) -> list[int]:
    """Numbers of all rows that are "cut", whose "answers_cut" or that are "untrained" under the limit."""
    return counts_of(profile.key, digest_of(profile)).lost(max_length)[what].tolist()


def longest_row(profile: TokenProfile) -> int:
    """Tokens of the longest row that the base's chat template can show; of a pair the longer sequence."""
    counts = counts_of(profile.key, digest_of(profile))
    shown = counts.total[counts.shown]
    return int(shown.max()) if len(shown) else 0


def telling_rows(profile: TokenProfile) -> list[tuple[str, int]]:
    """Why a row says much about the whole set, and its number."""
    return [(str(why), int(index)) for why, index in profile.stats.get("telling", [])]


def seen_anywhere(version: DatasetVersion, base: BaseModelVersion, index: int) -> dict[str, Any] | None:
    """A row as the base sees it, when it has been rendered: with the counts, or because somebody asked."""
    profile = profile_for(version, base)
    stored = _stored(profile.key, digest_of(profile)).get(index) if profile is not None and profile.is_ready else None
    if stored is not None:
        return stored
    row = seen_job(version, base, index)
    return dict(row.seen) if row is not None and row.is_ready else None


def seen_job(version: DatasetVersion, base: BaseModelVersion, index: int) -> SeenRow | None:
    return SeenRow.objects.filter(version=version, base=base, index=index).first()


# Counts never change once they are stored, so a process keeps the last few.


def digest_of(profile: TokenProfile) -> str:
    return str(artefacts.read_manifest(profile.key)["digest"])


@lru_cache(maxsize=4)
def counts_of(key: str, digest: str) -> Any:
    from datasets_app.engine.token_counts import Counts

    return Counts.load(artefacts.fetch_directory(key))


@lru_cache(maxsize=64)
def _under(key: str, digest: str, max_length: int) -> dict[str, Any]:
    return dict(counts_of(key, digest).under(max_length))


@lru_cache(maxsize=8)
def _stored(key: str, digest: str) -> dict[int, dict[str, Any]]:
    rows = json.loads((artefacts.fetch_directory(key) / SEEN_FILE).read_text(encoding="utf-8"))
    return {row["index"]: row for row in rows}
