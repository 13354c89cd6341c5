"""The other processes of a run on several cards: forked off the first, watched by it, and never outliving it.

They are forked after the rows are tokens and before any card is touched, so that the rows are read once and are the
same for all. Only the first process speaks with the supervisor; the others say why they failed, and only to the first.
"""

import json
import os
import signal
import socket
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from training.domain.failures import shorten
from training.engine import events
from training.engine.events import EXIT_FAILED, EngineError, Stopped, emit, log
from training.engine.group import ALONE, HOST, Group
from training.engine.naming import LOST, library_failures
from training.engine.watch import die_with_parent

# For the first process to notice by itself that another is gone; then it is ended from aside, wherever it hangs.
NOTICE_SECONDS = 15.0
# For the failure of another to arrive, when the first has only seen that somebody is gone.
NEWS_SECONDS = 5.0
WATCH_SECONDS = 0.5

Work = Callable[[Group], None]


@contextmanager
def together(devices: int, work: Work) -> Iterator[Group]:
    """Start all processes of the run but this one, each with `work`, and end them with the block."""
    if devices == 1:
        yield ALONE
        return
    ranks = Ranks(devices)
    ranks.start(work)
    try:
        with library_failures():
            yield ranks.group
    except EngineError as failure:
        raise ranks.cause(failure) from failure
    finally:
        ranks.end()


class Ranks:
    """What the first process knows of the others."""

    def __init__(self, devices: int) -> None:
        with socket.create_server((HOST, 0)) as listener:  # the others can only be met on this host
            self.group = Group(0, devices, listener.getsockname()[1], listener.detach())
        self.pids: dict[int, int] = {}
        self.failures: list[EngineError] = []
        self._news, self._over = threading.Event(), threading.Lock()

    def start(self, work: Work) -> None:
        readers: dict[int, int] = {}
        for rank in range(1, self.group.size):
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                for one in (reader, *readers.values()):
                    os.close(one)
                _live(Group(rank, self.group.size, self.group.port), work, writer, self.group.listener)
            os.close(writer)
            self.pids[rank], readers[rank] = pid, reader
        for rank, reader in readers.items():
            threading.Thread(target=self._watch, args=(rank, reader), name=f"rank-{rank}", daemon=True).start()

    def _watch(self, rank: int, reader: int) -> None:
        """Wait for the end of one of them; when it was not a good one, see to it that the first ends as well."""
        with os.fdopen(reader, encoding="utf-8") as said:
            told = [json.loads(line) for line in said if line.strip()]
        status = os.waitstatus_to_exitcode(os.waitpid(self.pids[rank], 0)[1])
        if status == 0:
            return
        self.failures.append(_failure(rank, self.group.size, status, told))
        self._news.set()
        threading.Event().wait(NOTICE_SECONDS)
        with self._over:  # held for good by a first process that has come to its own end
            failure = self._weightiest()
            emit("failed", code=failure.code, message=str(failure), detail=failure.detail, where=failure.where)
            self._kill()
            os._exit(EXIT_FAILED)

    def cause(self, seen: EngineError) -> EngineError:
        """Why it really failed: what one process sees may only be that another has."""
        if is_own(seen):
            return seen
        self._news.wait(NEWS_SECONDS)
        if not any(map(is_own, self.failures)):
            threading.Event().wait(1.0)  # several end at once; the one that began it may be the last to be heard
        return self._weightiest() if self.failures else seen

    def _weightiest(self) -> EngineError:
        """What is no consequence of another's end comes first, then an end by a signal."""
        return min(self.failures, key=lambda failure: (not is_own(failure), not failure.where.get("signal")))

    def end(self) -> None:
        self._over.acquire()
        self._kill()

    def _kill(self) -> None:
        for pid in self.pids.values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def is_own(failure: EngineError) -> bool:
    """Is it a failure of the process that tells it, or of another that it has lost or shares a loss with?"""
    return failure.code != LOST and not failure.where.get("elsewhere")


def _failure(rank: int, size: int, status: int, told: list[dict[str, Any]]) -> EngineError:
    name, where = f"Card {rank + 1} of {size}", {"card": rank + 1}
    if told:
        last = told[-1]
        where = dict(last.get("where") or {}) | where
        return EngineError(f"{name}: {last['message']}", code=last["code"], detail=last.get("detail", ""), where=where)
    if status >= 0:
        return EngineError(f"{name}: its process ended with status {status}.", code=LOST, where=where)
    where["signal"] = -status
    return EngineError(f"{name}: its process was ended by {signal.Signals(-status).name}.", code=LOST, where=where)


def _live(group: Group, work: Work, writer: int, listener: int) -> None:
    """The whole life of another process: work, tell a failure, end. It returns to nobody."""
    status = EXIT_FAILED
    try:
        os.close(listener)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first decides when all stop
        events.speak_only_of_failure(writer)
        warnings.simplefilter("ignore")  # the first process has the same to complain about
        die_with_parent(WATCH_SECONDS)
        with library_failures():
            work(group)
        status = 0
    except Stopped:
        pass
    except EngineError as failure:
        emit("failed", code=failure.code, message=str(failure), detail=failure.detail, where=failure.where)
    except BaseException as problem:  # whatever it is, the first must hear of it
        trace = shorten("".join(traceback.format_exception(problem)))
        emit("failed", code="internal", message=f"The training library stopped: {problem}"[:500], detail=trace)
        log(trace)
    finally:
        os._exit(status)
