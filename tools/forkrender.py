"""Renderers of chat templates by fork of the engine that asks for one, itself a fork: see `tools/forkserver.py`.

What is saved is the start of Python and of Jinja, ten times what a test's few rows take to render. Engines that start
from nothing, and all that ask for a renderer elsewhere, have the product's own.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from datasets_app.engine import apart, renderer


class Forked:
    """As much of Popen as a renderer uses."""

    def __init__(self, folder: Path) -> None:
        reading, answers = os.pipe()
        questions, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _become(folder, questions, answers)
        os.close(questions)
        os.close(answers)
        self.stdin, self.stdout = os.fdopen(writing, "wb"), os.fdopen(reading, "rb")
        self.returncode: int | None = None

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def _become(folder: Path, questions: int, answers: int) -> None:
    """What Popen does in a child, and what a start from nothing leaves behind; never returns."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(questions, 0)
        os.dup2(answers, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # its own ends of the pipes among them: else it sees no end of them
        sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
        os.chdir(renderer.ROOT)
        os._exit(renderer.main(str(folder), apart.address_space()))
    finally:
        os._exit(1)


def install() -> None:
    """From here on, in this process and its forks."""
    start: Any = Forked
    renderer.spawn = start
