"""A mail server of a few lines: takes what it is given, keeps it, and can be told to fail."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Mailbox:
    port: int = 0
    refuse: int = 0  # so many letters are refused first
    seen: list[EmailMessage] = field(default_factory=list)


class Talk(socketserver.StreamRequestHandler):
    """One conversation."""

    box: Mailbox

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.say("220 mailbox")
        for raw in self.rfile:
            word = raw[:4].upper()
            if word == b"DATA":
                self.say("354 go on")
                self.take()
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def take(self) -> None:
        lines = []
        for raw in self.rfile:
            if raw == b".\r\n":
                break
            lines.append(raw.removeprefix(b"."))
        if self.box.refuse:
            self.box.refuse -= 1
            self.say("451 try again later")
            return
        self.box.seen.append(message_from_bytes(b"".join(lines), policy=policy.default))
        self.say("250 taken")


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Talking", (Talk,), {"box": box}))
    server.daemon_threads = True
    box.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
