"""The pulse of a worker process: a thread with its own database connection that says "I live" and helps itself.

With every beat the process tells how its host is, sends the canaries that are due, takes waiting work without being
woken, sees to it that what is due is sent, and gives back what others lost if nobody else does; so a dead beat and even
a dead broker cost seconds. A process whose messages have dried up while the broker answers ends, and whoever keeps it
running starts it afresh; runs have supervisors of their own and notice nothing.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Sequence

import psutil
from django.conf import settings
from django.db import Error, close_old_connections, connection

from projects import canaries, contributions, courier, reconciler, supervision, waking
from projects.domain.stalls import Hearing, Judge
from projects.presence import Presence, rivals

logger = logging.getLogger(__name__)
LAST_WORDS_SECONDS = 10.0
RESTART_EXIT_CODE = 75  # of sysexits.h: a temporary failure, try again


def look_around() -> None:
    """What apps keep of files on this host. Nothing that goes wrong here stops a worker."""
    try:
        for look in contributions.looks:
            look()
    except (Error, OSError) as error:
        logger.warning("a look at this host's files was missed: %s", error)
    finally:
        connection.close()


class Pulse:
    """Beats until it is stopped. `heard`, `begun` and `ended` are called by the process's main thread."""

    def __init__(self, queues: Sequence[str]) -> None:
        self.queues = [queue for queue in settings.SLOTS if queue in queues]
        self.presence = Presence(self.queues)
        self.judge = Judge(settings.WORKER_BEAT_SECONDS, settings.CANARY_SECONDS, settings.CANARY_LIMIT_SECONDS)
        self._stop = threading.Event()
        self._heard = threading.Event()
        self._running = 0
        self._looking: threading.Thread | None = None
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No more beats. The row is left for `leave`, since work may still be under way."""
        self._stop.set()

    def leave(self) -> None:
        self.stop()
        try:
            self.presence.leave()
        except Error as error:
            logger.warning("left without saying goodbye: %s", error)

    def heard(self) -> None:
        """A message has come in."""
        self._heard.set()

    def begun(self) -> None:
        self._running += 1

    def ended(self) -> None:
        self._running = max(0, self._running - 1)

    def _run(self) -> None:
        while not self._stop.is_set():
            why = self._beat_patiently()
            if why:
                self._start_afresh(why)
                return
            self._stop.wait(settings.WORKER_BEAT_SECONDS)
        connection.close()

    def _beat_patiently(self) -> str:
        close_old_connections()
        try:
            return self.beat()
        except (Error, OSError, psutil.Error) as error:
            logger.warning("a beat was missed: %s", error)
            connection.close()
            return ""

    def beat(self) -> str:
        """One beat; why the process should start afresh, if it should."""
        now = self.presence.beat()
        canaries.send_due(self.queues)
        if reconciler.is_overdue():
            reconciler.sweep()
        for queue in self.queues:
            supervision.claim_and_start(queue)
        if waking.COURIER_QUEUE in self.queues:
            courier.start_if_due()
        self._look_around()
        hearing = Hearing(
            heard=self._heard.is_set(),
            running=self._running > 0,
            overdue=canaries.overdue(self.queues, now),
            rivals=rivals(self.queues, now),
        )
        self._heard.clear()
        why = self.judge.beat(hearing)
        return why if why and waking.broker_answers() else ""

    def _look_around(self) -> None:
        """In a thread of its own: a disk that does not answer must not cost the beat."""
        if self._looking is None or not self._looking.is_alive():
            self._looking = threading.Thread(target=look_around, name="looking", daemon=True)
            self._looking.start()

    def _start_afresh(self, why: str) -> None:
        """First in good order; a main thread that does not react is not asked twice."""
        logger.error("this worker process starts afresh: %s", why)
        connection.close()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_WORDS_SECONDS)
        os._exit(RESTART_EXIT_CODE)  # not reached when the main thread has ended the process
