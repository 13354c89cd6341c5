"""What NVIDIA's driver says about its cards: the CSV of `nvidia-smi --query-gpu`, one line a card."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

FIELDS = ("index", "uuid", "name", "memory.total", "memory.used", "temperature.gpu", "utilization.gpu", "power.draw")
MEBIBYTE = 1024**2


@dataclass(frozen=True)
class Reading:
    """One card at one moment; None is what it does not tell."""

    index: int
    uuid: str
    name: str
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    temperature: float | None = None
    utilisation: float | None = None
    power_watts: float | None = None


def query(program: str) -> list[str]:
    return [program, f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]


def read(text: str) -> list[Reading]:
    """Cards by index. Lines that are no card (warnings of the driver) are left out."""
    found = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) == len(FIELDS) and row[0].strip().isdecimal():
            found.append(_card([cell.strip() for cell in row]))
    return sorted(found, key=lambda card: card.index)


def _card(row: list[str]) -> Reading:
    index, uuid, name, *figures = row
    total, used, temperature, busy, power = map(_figure, figures)
    return Reading(
        index=int(index),
        uuid=uuid[:80],
        name=name[:120],
        memory_bytes=None if total is None else round(total * MEBIBYTE),
        memory_used_bytes=None if used is None else round(used * MEBIBYTE),
        temperature=temperature,
        utilisation=None if busy is None else min(1.0, max(0.0, busy / 100)),
        power_watts=power,
    )


def _figure(cell: str) -> float | None:
    """A number, or None for “[N/A]”, “[Not Supported]”, “[Unknown Error]” and their like."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < 1e12 else None  # also refuses nan and infinities


def visible(cards: Sequence[Reading], wanted: str | None) -> list[Reading]:
    """The cards that CUDA_VISIBLE_DEVICES leaves a process; None is all, and an empty text is none."""
    if wanted is None:
        return list(cards)
    chosen = []
    for word in (part.strip() for part in wanted.split(",")):
        card = next((one for one in cards if word and _is(one, word)), None)
        if card is None:
            break  # CUDA, too, stops at the first that it does not know
        chosen.append(card)
    return chosen


def _is(card: Reading, word: str) -> bool:
    return card.index == int(word) if word.isdecimal() else word.startswith("GPU-") and card.uuid.startswith(word)
