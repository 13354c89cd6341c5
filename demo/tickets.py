"""Made-up support tickets: the rows the demo trains on, is judged by, and the text its tiny base grew up with."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

QUEUES = {
    "billing": [
        "invoice",
        "refund",
        "credit card charge",
        "subscription fee",
        "payment receipt",
        "tax line on the bill",
    ],
    "access": [
        "password reset",
        "login page",
        "two factor code",
        "locked account",
        "single sign on",
        "user permission",
    ],
    "network": ["vpn tunnel", "office wifi", "dns lookup", "firewall rule", "packet loss", "proxy setting"],
    "hardware": [
        "laptop battery",
        "docking station",
        "printer tray",
        "broken keyboard",
        "external monitor",
        "noisy fan",
    ],
    "software": [
        "export button",
        "mobile app crash",
        "report editor",
        "calendar sync",
        "search filter",
        "plugin update",
    ],
}
PRIORITIES = {
    "low": [
        "whenever you have time",
        "no rush at all",
        "just a small question",
        "this can wait until next month",
    ],
    "medium": [
        "please look at it this week",
        "it slows us down a little",
        "we have a workaround for now",
        "would be good to fix soon",
    ],
    "high": [
        "several people are blocked",
        "we need this fixed today",
        "our team cannot continue",
        "the customer is waiting on us",
    ],
    "urgent": [
        "production is down right now",
        "everyone is affected and we lose money",
        "drop everything please",
        "this is an emergency",
    ],
}
OPENERS = ["hello support", "hi team", "good morning", "dear help desk", "hey there", "greetings"]
PEOPLE = [
    "maria",
    "tom",
    "the finance group",
    "our new colleague",
    "a client in oslo",
    "the night shift",
    "my manager",
    "the sales floor",
]
PROBLEMS = [
    "{person} has a problem with the {topic}",
    "the {topic} does not work for {person}",
    "we see an error around the {topic} reported by {person}",
    "{person} asked me about the {topic} again",
    "something is wrong with the {topic} since tuesday for {person}",
    "could you check the {topic} for {person}",
]
CLOSERS = ["thanks", "thank you", "kind regards", "cheers", "best wishes", "talk soon"]
INSTRUCTION = "route this ticket as json"

Row = dict[str, Any]


@dataclass(frozen=True)
class Ticket:
    text: str
    queue: str
    priority: str

    @property
    def answer(self) -> str:
        """What a router should reply."""
        return json.dumps({"queue": self.queue, "priority": self.priority})

    @property
    def question(self) -> str:
        return f"{INSTRUCTION} : {self.text}"


def ticket(rng: random.Random) -> Ticket:
    queue, priority = rng.choice(list(QUEUES)), rng.choice(list(PRIORITIES))
    topic = rng.choice(QUEUES[queue])
    body = rng.choice(PROBLEMS).format(person=rng.choice(PEOPLE), topic=topic)
    text = f"{rng.choice(OPENERS)} , {body} . {rng.choice(PRIORITIES[priority])} . {rng.choice(CLOSERS)}"
    return Ticket(text, queue, priority)


def distinct_tickets(count: int, seed: int = 7) -> list[Ticket]:
    """`count` tickets, no two with the same text; the same seed gives the same list."""
    rng = random.Random(seed)
    found: dict[str, Ticket] = {}
    while len(found) < count:
        one = ticket(rng)
        found.setdefault(one.text, one)
    return list(found.values())


def chat_row(one: Ticket) -> Row:
    """An OpenAI chat row: the ticket and its routing."""
    return {"messages": [message("user", one.question), message("assistant", one.answer)]}


def routing_sets(train: int = 500, held_out: int = 100, seed: int = 7) -> tuple[list[Row], list[Row]]:
    """Chat rows to train on and others to be judged by; no ticket is in both."""
    rows = [chat_row(one) for one in distinct_tickets(train + held_out, seed)]
    return rows[:train], rows[train:]


def preference_rows(count: int, seed: int = 7, pick: int = 5) -> list[Row]:
    """Preference rows of TRL's shape: the bare JSON is chosen over the same JSON wrapped in chatter."""
    rng = random.Random(pick)
    return [
        {
            "prompt": [message("user", one.question)],
            "chosen": [message("assistant", one.answer)],
            "rejected": [message("assistant", rng.choice(["it is about ", "the need is "]) + one.answer)],
        }
        for one in distinct_tickets(count, seed)
    ]


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def general_chats(count: int, seed: int = 21) -> list[Row]:
    """Chats in prose of the kind the base already handles: a retention set shows if tuning made it forget them."""
    rng = random.Random(seed)
    return [
        {"messages": [message("user", question), message("assistant", answer)]}
        for question, answer in (_prose(rng, ticket(rng)) for _ in range(count))
    ]


def general_texts(count: int, seed: int = 1) -> Iterator[str | tuple[str, str]]:
    """What the base reads before any fine-tuning: facts, loose JSON, tickets, (question, answer) chats.

    No text answers a ticket with JSON, so routing is left for the fine-tune to teach.
    """
    rng = random.Random(seed)
    for _ in range(count):
        one, kind = ticket(rng), rng.random()
        if kind < 0.05:
            yield one.text
        elif kind < 0.25:
            yield _topic_fact(rng, one.queue)
        elif kind < 0.35:
            yield _loose_json(rng)
        else:
            yield _prose(rng, one)


def _topic_fact(rng: random.Random, queue: str) -> str:
    a, b, c = rng.sample(QUEUES[queue], 3)
    return rng.choice(
        [
            f"{queue} : {a} , {b} , {c}",
            f"the {a} is a {queue} topic",
            f"the {a} and the {b} are {queue} topics",
        ]
    )


def _loose_json(rng: random.Random) -> str:
    labels = [*QUEUES, *PRIORITIES, *PEOPLE]
    keys = rng.sample(["name", "count", "open", "queue", "priority", "topic"], 2)
    return json.dumps({key: rng.choice(labels) for key in keys})


def _prose(rng: random.Random, one: Ticket) -> tuple[str, str]:
    queue, priority = one.queue, one.priority
    question, answer = rng.choice(
        [
            ("what is this about", f"it is about {queue}"),
            ("name the topic", queue),
            ("how pressing is this", f"the need is {priority}"),
            ("how soon", priority),
            ("sum up this ticket", f"{queue} and {priority}"),
            ("sum up this ticket", f"a {priority} need on {queue}"),
            ("sum up this ticket", f"topic {queue} , need {priority}"),
        ]
    )
    return f"{question} : {one.text}", answer
