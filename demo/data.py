"""The demo's files: a support-ticket routing dataset as it comes from a help desk, faults included."""

import json
import random
import re
from dataclasses import dataclass

from demo import tickets

TRAINING, GOLDEN, GENERAL, REPLAY, VALIDATION = 500, 200, 150, 500, 60
RUN = 12  # words; the product calls it a leak from 13 on
SECRET = "sk-" + "proj-4fGq8Zt1XwB7uYk2RmD9vLc5HsJ3aPeN6oTiQ0bWxUy"
MALFORMED = '{"messages": [{"role": "user", "content": "route this ticket as json : hi team , the'


@dataclass(frozen=True)
class Planted:
    """How many of each fault stand in the training file."""

    duplicates: int = 24
    leaked: int = 6
    secrets: int = 1
    malformed: int = 1


def _lines(rows: list[tickets.Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def golden_file() -> bytes:
    """Tickets nobody trains on, each with the routing it should get and its queue as a label."""
    _, held_out = tickets.routing_sets(TRAINING, GOLDEN)
    return _lines(held_out)


def validation_file() -> bytes:
    """Tickets that are neither trained on nor in the golden set: their loss is watched while a run learns.

    They are made of the same phrases as all others, so those with a longer run of words in common are passed over;
    the general chats that are trained on, too, ask about such tickets.
    """
    train, held_out = tickets.routing_sets(TRAINING, GOLDEN + 20 * VALIDATION)
    known = set().union(*map(_runs, [*train, *_general(), *held_out[:GOLDEN]]))
    return _lines([row for row in held_out[GOLDEN:] if not known & _runs(row)][:VALIDATION])


def _runs(row: tickets.Row) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", " ".join(message["content"] for message in row["messages"]))
    return {tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}


def _general() -> list[tickets.Row]:
    """Chats of what the base can do already, trained on against forgetting."""
    return tickets.general_chats(REPLAY, seed=22)


def retention_file() -> bytes:
    """General help-desk chats that the base already handles; tuning should not make it forget them."""
    return _lines(tickets.general_chats(GENERAL, seed=99))


def training_file(planted: Planted = Planted(), seed: int = 5) -> bytes:
    """The routing rows with some general chats against forgetting, and the planted faults, shuffled."""
    rng = random.Random(seed)
    train, held_out = tickets.routing_sets(TRAINING, GOLDEN)
    rows = [*train, *_general()]
    rows += rng.sample(train, planted.duplicates)
    rows += held_out[: planted.leaked]
    for _ in range(planted.secrets):
        one = tickets.ticket(rng)
        question = f"{tickets.INSTRUCTION} : {one.text} my key is {SECRET}"
        rows.append({"messages": [tickets.message("user", question), tickets.message("assistant", one.answer)]})
    rng.shuffle(rows)
    lines = _lines(rows).splitlines(keepends=True)
    for _ in range(planted.malformed):
        lines.insert(rng.randrange(len(lines)), MALFORMED.encode() + b"\n")
    return b"".join(lines)


def preference_file() -> bytes:
    return _lines(tickets.preference_rows(100))
