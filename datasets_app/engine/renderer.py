"""Chat templates rendered in a process of their own, which is ended when a template takes too much.

`Renderer` is the near side; `python -m datasets_app.engine.renderer FOLDER` the far one: a JSON request a line in, a
JSON answer a line out. A template is somebody else's program: it gets two seconds of processor time for a row and
512 MB. That is for each row, so no honest dataset is too long for it; a template that takes too much again and again
ends the work.
"""

import os
import resource
import select
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from datasets_app.engine.chat_template import RENDER_SECONDS, ChatTemplate, Message, Unshowable
from projects.domain.errors import Refused

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 512 * 1024 * 1024
START_SECONDS = 60  # until the process has loaded its libraries, on a machine that is busy
WAIT_SECONDS = 30  # for an answer: far more than the processor time it may take
MOST_LOST = 10  # rows that took too much
TOO_MUCH = "The chat template takes too much time or memory for the row."


class Renderer:
    """Has the signature of ChatTemplate.render; starts its process when it is first asked, and again after a loss."""

    def __init__(self, folder: Path, seconds: float = WAIT_SECONDS) -> None:
        self.folder, self.seconds = folder, seconds
        self.rendered = self.lost = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._said = b""
        self._about: dict[str, Any] = {}
        self._start()

    @property
    def text(self) -> str:
        return str(self._about["text"])

    @property
    def specials(self) -> dict[str, str]:
        return dict(self._about["specials"])

    @property
    def looks_for(self) -> list[str]:
        return list(self._about["looks_for"])

    @property
    def marks_answers(self) -> bool:
        return "endgeneration" in self.text

    def __call__(
        self, messages: Sequence[Message], tools: Any = None, *, ask: bool = False, options: Mapping[str, Any] = {}
    ) -> str:
        """The rendered text with its marks. Raises Unshowable, with code "template_limit" when it took too much."""
        if self.lost >= MOST_LOST:
            raise Refused(f"{TOO_MUCH} This has happened for {self.lost} rows.", code="template_limit")
        if self._process is None:
            self._start()
        self.rendered += 1
        asked = {"messages": list(messages), "tools": tools or None, "ask": ask, "options": dict(options)}
        answer = self._ask(orjson.dumps(asked), self.seconds)
        if "refused" in answer:
            self.lost += answer["code"] == "template_limit"
            kind = Refused if answer["code"] == "no_template" else Unshowable
            raise kind(answer["refused"], code=answer["code"])
        return str(answer["value"])

    def close(self) -> None:
        if self._process is not None:
            _end(self._process)
        self._process = None

    def _start(self) -> None:
        self._process = spawn(self.folder)
        self._finalizer = weakref.finalize(self, _end, self._process)
        self._said = b""
        self._line(START_SECONDS)
        about = self._line(self.seconds)
        if "refused" in about:
            self.close()
            raise Refused(about["refused"], code=about["code"])
        self._about = about["value"]

    def _ask(self, line: bytes, seconds: float) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._gone() from None
        return self._line(seconds)

    def _gone(self) -> Unshowable:
        self.lost += 1
        self.close()
        return Unshowable(TOO_MUCH, code="template_limit")

    def _line(self, seconds: float) -> dict[str, Any]:
        """The next answer; a process that gives none in time, or is gone, is ended."""
        assert self._process is not None and self._process.stdout is not None
        pipe, until = self._process.stdout.fileno(), time.monotonic() + seconds
        pieces = [self._said]
        while b"\n" not in pieces[-1]:
            ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
            piece = os.read(pipe, 1 << 20) if ready else b""
            if not piece:
                raise self._gone()
            pieces.append(piece)
        line, _, self._said = b"".join(pieces).partition(b"\n")
        return dict(orjson.loads(line))


def spawn(folder: Path) -> subprocess.Popen[bytes]:
    """The far side itself. Tests put a fork of a warm process in this place: tools/forkrender.py."""
    return subprocess.Popen(
        [sys.executable, "-m", "datasets_app.engine.renderer", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass  # what could not be sent any more is lost, as it should be


# The far side


def main(folder: str, mapped: int = 0) -> int:
    """Answer until nobody asks any more. `mapped` are bytes that the process had before it became a renderer."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _bound(resource.RLIMIT_AS, mapped + MEMORY)
    _say({"value": "hello"})
    template = None

    def about() -> dict[str, Any]:
        nonlocal template
        template = ChatTemplate(Path(folder))
        return {"text": template.text, "specials": template.specials, "looks_for": template.looks_for()}

    _answer(about)
    while template is not None and (line := sys.stdin.buffer.readline()):
        asked = orjson.loads(line)
        _answer(
            lambda asked=asked: template.render(
                asked["messages"], asked["tools"], ask=asked["ask"], options=asked["options"]
            )
        )
    return 0


def _answer(work: Any) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _bound(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + RENDER_SECONDS)
    try:
        said = {"value": work()}
    except Refused as refused:
        said = {"refused": str(refused), "code": refused.code}
    except MemoryError:
        said = {"refused": TOO_MUCH, "code": "template_limit"}
    _say(said)


def _bound(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _say(what: dict[str, Any]) -> None:
    try:
        line = orjson.dumps(what)
    except (TypeError, MemoryError):  # half a surrogate pair, or too much of it
        line = orjson.dumps({"refused": "The chat template writes what is not text.", "code": "template"})
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
