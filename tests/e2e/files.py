"""What the engineer brings: a training file with faults at known lines, a golden set, a retention set."""

import json

from demo import tickets

ROUTING, REPLAY, GOLDEN, GENERAL = 240, 80, 60, 50
DUPLICATES, LEAKED = 6, 3
LIKE_GOLDEN = 4  # tickets drawn by chance that are nearly, or but for their form, golden ones
# Line, field, code, found and expected, as the table of bad rows must say them.
BAD = {
    3: (b'{"messages": [{"role": "user", "content": "route this', "messages[0].content", "invalid_json"),
    7: (b'{"messages": [{"role": "robot", "content": "beep"}]}', "messages[0].role", "unknown_role"),
    11: (b'{"tickets": "not the field anybody asked for"}', "messages", "missing_field"),
}


def lines(rows: list[dict]) -> list[bytes]:
    return [json.dumps(row).encode() for row in rows]


def golden_file() -> bytes:
    return b"\n".join(lines(tickets.routing_sets(ROUTING, GOLDEN)[1])) + b"\n"


def training_file() -> bytes:
    """Routing rows and general chats by turns; some rows twice, some of the golden set, and the bad lines."""
    train, golden = tickets.routing_sets(ROUTING, GOLDEN)
    rows = [*train, *tickets.general_chats(REPLAY, seed=22)]
    rows += train[:DUPLICATES] + golden[:LEAKED]
    written = lines(rows)
    for number in sorted(BAD):
        written.insert(number - 1, BAD[number][0])
    return b"\n".join(written) + b"\n"


def good_rows() -> int:
    return ROUTING + REPLAY + DUPLICATES + LEAKED


def retention_file() -> bytes:
    """General chats as the Alpaca recipe stores them, with the whole text in a column of its own."""
    rows = []
    for chat in tickets.general_chats(GENERAL, seed=99):
        question, answer = (turn["content"] for turn in chat["messages"])
        rows.append({"instruction": question, "output": answer, "text": f"{question} {answer}"})
    return b"\n".join(lines(rows)) + b"\n"
