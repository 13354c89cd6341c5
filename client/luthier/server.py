"""Calls to the API: with the token, again after what passes by itself, and never on to another host."""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request

from luthier import __version__
from luthier.errors import Refusal, Stop, Unreachable

PAUSES = (1, 2, 4, 8, 16)  # seconds between tries, when the connection or the server is away
AWAY = (502, 503, 504)
TIMEOUT = 120


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it points."""

    def redirect_request(self, *_):
        return None


class Server:
    """One project of one installation."""

    def __init__(self, address, token, project="", pauses=PAUSES):
        self.address, self.token, self.project, self.pauses = address.rstrip("/"), token, project, pauses
        self._open = urllib.request.build_opener(NoRedirects()).open

    def path(self, path):
        return f"/api/v1/projects/{urllib.parse.quote(self.project)}/{path}"

    def get(self, path, **query):
        return self.ask("GET", self.path(path), query=query)

    def post(self, path, body=None, **headers):
        return self.ask("POST", self.path(path), json.dumps(body or {}).encode(), headers=headers)

    def put(self, path, data, **headers):
        return self.ask("PUT", self.path(path), data, headers={"Content-Type": "application/octet-stream", **headers})

    def everything(self, path, **query):
        """All pages of a list."""
        answer = self.get(path, **query)
        while True:
            yield from answer["results"]
            if not answer.get("next"):
                return
            following = urllib.parse.urlsplit(answer["next"])
            answer = self.ask("GET", f"{following.path}?{following.query}")

    def ask(self, method, path, data=None, query=None, headers=None):
        """The answer as JSON; None where there is none."""
        with self.open(method, path, data, query, headers) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def open(self, method, path, data=None, query=None, headers=None):
        """The answer as a stream."""
        url = self.address + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        problem: object = None
        for pause in (*self.pauses, None):
            try:
                return self._open(self._request(method, url, data, headers or {}), timeout=TIMEOUT)
            except urllib.error.HTTPError as error:
                if error.code not in AWAY and error.code != 429:
                    raise refusal(error) from None
                problem, wait = f"HTTP {error.code}", _told_to_wait(error, pause)
            except (OSError, http.client.HTTPException) as error:
                problem, wait = getattr(error, "reason", None) or error, pause
            if wait is None:
                break
            time.sleep(wait)
        raise Unreachable(f"{self.address} does not answer ({problem}). Is the address right, and the server running?")

    def _request(self, method, url, data, headers):
        told = {"Authorization": f"Bearer {self.token}", "User-Agent": f"luthier-client/{__version__}"}
        if data is not None:
            told["Content-Type"] = "application/json"
        return urllib.request.Request(url, data, {**told, **headers}, method=method)


def _told_to_wait(error, pause):
    """What the server says with 429, up to a minute."""
    wanted = error.headers.get("Retry-After", "")
    return pause if pause is None or not wanted.isdigit() else min(60, int(wanted))


def refusal(error):
    if 300 <= error.code < 400:
        return Stop(f"{error.url} sends elsewhere. Log in with the address that it sends to.", Refusal.code)
    try:
        body = json.loads(error.read())
    except ValueError:
        body = {}
    if not isinstance(body, dict) or "message" not in body:
        body = {"code": f"http_{error.code}", "message": "This is not an answer of Luthier. Is the address right?"}
    return Refusal(error.code, body)
