"""A client of the API that does what a careful program does: keys for creations, patience, the same question again."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

PATIENCE_SECONDS = 90


class Unanswered(Exception):
    """The server did not answer for so long that the client gave up."""


@dataclass
class Answer:
    status: int
    body: dict[str, Any]


@dataclass
class Client:
    """`seen` counts what came back; a 500 is the only answer that must never come."""

    base: str
    token: str
    seen: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def post(self, path: str, body: dict[str, Any] | None = None, key: str = "") -> Answer:
        headers = {"Idempotency-Key": key} if key else {}
        return self.ask("POST", path, json.dumps(body or {}).encode(), {"Content-Type": "application/json"} | headers)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path, None, {})

    def ask(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        """Until there is an answer that means something: not while the server or its database is away."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = self._once(method, path, data, headers)
            if answer is not None and answer.status < 500:
                return answer
            time.sleep(0.25)
        raise Unanswered(f"{method} {path}")

    def _once(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer | None:
        request = urllib.request.Request(self.base + path, data, {"Authorization": f"Bearer {self.token}"} | headers)
        request.method = method
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                raw, status = response.read(), response.status
        except urllib.error.HTTPError as error:
            raw, status = error.read(), error.code
        except (OSError, http.client.HTTPException) as error:  # refused, reset, cut off: the server is dead or dies
            self.seen[type(error).__name__] += 1
            return None
        self.seen[str(status)] += 1
        if status >= 500 and status not in {503, 507}:
            self.broken.append(f"{method} {path}: {status} {raw[:200]!r}")
        return Answer(status, _json(raw))


def _json(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {"list": found}
