"""A receiver of webhooks that listens on a real socket and answers as it is told to. Knows nothing of the product."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, secret: str) -> bool:
        """A receiver's own check, written anew from the scheme."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        given = [part.partition(",")[2] for part in self.headers["webhook-signature"].split(" ")]
        return any(hmac.compare_digest(wanted, one) for one in given)


@dataclass
class Receiver:
    """`answer(handler, received)` writes an answer; 204 by default."""

    url: str = ""
    certificate: str = ""
    got: list[Received] = field(default_factory=list)
    answer: Callable[[Any, Received], None] = lambda handler, received: reply(handler, 204)

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.got]

    @property
    def types(self) -> list[str]:
        return [one.message["type"] for one in self.got]


def reply(handler: Any, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def replies(status: int, body: bytes = b"", **headers: str) -> Callable[[Any, Received], None]:
    return lambda handler, received: reply(handler, status, body, **headers)


@contextmanager
def receiving(tls: Any = None) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.got.append(received)
            try:
                receiver.answer(self, received)
            except (BrokenPipeError, ConnectionResetError):
                pass  # whoever asked has gone

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
