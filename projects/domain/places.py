"""Places of a host: a card (“gpu:0”), a share of its processors (“cpu:1”), or several of one kind (“gpu:0,1”)."""

from collections.abc import Iterable, Sequence

MOST = 16  # that one job may hold


def parts(place: str) -> list[str]:
    """The single places that a job holds."""
    kind, colon, numbers = place.partition(":")
    return [f"{kind}:{number}" for number in numbers.split(",")] if colon else [place]


def join(several: Sequence[str]) -> str:
    """One text for all of them; in the order of their numbers, in which CUDA will count them as well."""
    kind = several[0].partition(":")[0]
    return f"{kind}:{','.join(sorted((one.partition(':')[2] for one in several), key=int))}"


def choose(free: Iterable[str], count: int) -> str | None:
    """So many different places, the first that are free; None when there are fewer. A card counts once."""
    different = list(dict.fromkeys(free))
    return join(different[:count]) if len(different) >= count else None
