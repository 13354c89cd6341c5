"""The only place that opens connections to addresses which people typed in. Workers use it, never the web process.

The name is resolved once, every address it has must be fit, and the connection goes to the very address that was
checked, with the name kept for TLS and the Host header. Redirects are answers, not ways. Everything together has one
deadline, and of the answer only its first kilobyte is read.
"""

import http.client
import io
import ipaddress
import queue
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from projects.domain import addresses
from projects.domain.addresses import NotAllowed, Target

KEPT_BYTES = 1024
AGENT = "Luthier-Webhooks/1"


class Unsent(Exception):
    """It did not get through; `code` says why in one word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the first kilobyte, and whether the receiver wants to be left alone for a while."""

    status: int
    start: str
    address: str
    retry_after: float = 0.0


def post(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send `body`. Raises `NotAllowed` for where nothing is sent, `Unsent` for what got no answer."""
    until = time.monotonic() + settings.WEBHOOK_SECONDS
    target = addresses.check(url, settings.WEBHOOK_HOSTS)
    address = resolve(target, until)
    try:
        return _exchange(target, address, body, headers, until)
    except TimeoutError:
        raise Unsent("timeout", f"No answer within {settings.WEBHOOK_SECONDS:g} s.") from None
    except ssl.SSLError as error:
        raise Unsent("tls_failed", f"No safe connection: {error.reason or error}."[:300]) from None
    except http.client.HTTPException as error:
        raise Unsent("not_http", f"What answered is no HTTP: {type(error).__name__}.") from None
    except OSError as error:
        raise Unsent("no_connection", f"No connection: {error.strerror or error}."[:300]) from None


def resolve(target: Target, until: float) -> str:
    """One address of the host. Where one of several is not fit, none is: the next answer might begin with that."""
    found = _look_up(target, until)
    if not addresses.is_allowed(target, settings.WEBHOOK_HOSTS):
        for text in found:
            if not addresses.is_public(ipaddress.ip_address(text)):
                raise NotAllowed(f"{target.host} leads to {text}, which is not a public address.")
    return found[0]


def _look_up(target: Target, until: float) -> list[str]:
    """Ask the resolver in a thread of its own, which has no deadline that one could set."""
    answers: queue.Queue[Any] = queue.Queue(1)

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        found = answers.get(timeout=min(settings.WEBHOOK_CONNECT_SECONDS, until - time.monotonic()))
    except queue.Empty:
        raise Unsent("no_such_host", f"Nobody said in time where {target.host} is.") from None
    if isinstance(found, Exception) or not found:
        raise Unsent("no_such_host", f"{target.host} is not known to any name server.")
    return [address[0] for *_, address in found]


class _Connection:
    """A socket as `http.client` wants it, whose every wait ends at the deadline."""

    def __init__(self, raw: socket.socket, until: float) -> None:
        self.raw, self.until = raw, until

    def _arm(self) -> None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.raw.settimeout(left)

    def sendall(self, data: Any) -> None:
        self._arm()
        self.raw.sendall(data)

    def receive(self, buffer: Any) -> int:
        self._arm()
        return self.raw.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self))

    def close(self) -> None:
        """Called by `http.client` as soon as the head is read, while there is more to read: not yet."""

    def end(self) -> None:
        self.raw.close()


class _Reading(io.RawIOBase):
    def __init__(self, connection: _Connection) -> None:
        self.connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.connection.receive(buffer)


def _connect(target: Target, address: str, until: float) -> _Connection:
    patience = min(settings.WEBHOOK_CONNECT_SECONDS, until - time.monotonic())
    raw = socket.create_connection((address, target.port), timeout=max(patience, 0.01))
    try:
        if target.scheme == "https":
            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=target.host)
    except BaseException:
        raw.close()
        raise
    return _Connection(raw, until)


def _exchange(target: Target, address: str, body: bytes, headers: dict[str, str], until: float) -> Answer:
    wire = _connect(target, address, until)
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = wire
    try:
        connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", target.host_header)
        common = {"Content-Type": "application/json", "Content-Length": str(len(body)), "User-Agent": AGENT}
        for name, value in (common | headers | {"Connection": "close"}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        with connection.getresponse() as response:
            start = response.read(KEPT_BYTES)
            return Answer(response.status, _readable(start), address, _seconds(response.getheader("Retry-After")))
    finally:
        wire.end()


def _readable(start: bytes) -> str:
    text = start.decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "·" for sign in text)


def _seconds(asked: str | None) -> float:
    """`Retry-After` in seconds; a date is not worth a parser here."""
    return float(asked) if asked and asked.isdecimal() and len(asked) < 8 else 0.0
