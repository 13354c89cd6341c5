"""Keeps the lease of one job alive, and sees to it that nothing works on without one.

The supervisor beats between the child's events. Two threads stand by it: one beats while files are fetched or checked,
which may take longer than a lease lasts; the other kills the child when the lease cannot be trusted any more, even
while the supervisor waits for a database that does not answer.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from projects import leases
from projects.child import Child
from projects.domain.states import Outcome

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 0.5


class Lease:
    """The lease of one job as this process knows it. Bears a database that is away for less time than it lasts."""

    def __init__(self, job: Any) -> None:
        self.job = job
        self.last_beat = self.last_look = time.monotonic()
        self._lost: leases.LostLease | None = None

    def begin(self) -> None:
        """The first beat: another process made the claim, and this one took its time to start."""
        self._beat()

    def keep(self) -> Outcome | None:
        """Heartbeat when it is time; says when somebody asked for the job to be cancelled or paused."""
        now = time.monotonic()
        if now - self.last_beat >= settings.HEARTBEAT_SECONDS:
            self._beat()
        if now - self.last_look < settings.CANCEL_POLL_SECONDS:
            return None
        self.last_look = now
        return cast("Outcome | None", self.patiently(lambda: leases.wish(self.job)))

    def _beat(self) -> None:
        asked = time.monotonic()  # before the answer: the lease errs on the short side here, too
        self.patiently(lambda: leases.heartbeat(self.job))
        self.last_beat = asked

    @property
    def trusted_until(self) -> float:
        return self.last_beat + settings.LEASE_SECONDS - 2 * settings.HEARTBEAT_SECONDS

    def patiently(self, work: Callable[[], Any]) -> Any:
        """Do `work`; while the database is away try again, but never beyond the time the lease can be trusted."""
        while True:
            try:
                return work()
            except (OperationalError, InterfaceError) as error:
                logger.warning("the database is away: %s", error)
                if time.monotonic() > self.trusted_until:
                    raise leases.LostLease(f"{self.job}: the database was away for too long") from error
                connection.close()
                time.sleep(PAUSE_SECONDS)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Beat from a thread of its own while this one is busy with files that take as long as they take."""
        if settings.SUPERVISE_INLINE:
            yield  # the row may be in a transaction that no other connection sees into
            return
        done = threading.Event()
        thread = threading.Thread(target=self._beat_until, args=(done,), name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        if self._lost is not None:
            raise self._lost

    def _beat_until(self, done: threading.Event) -> None:
        try:
            while not done.wait(settings.HEARTBEAT_SECONDS):
                self._beat()
        except leases.LostLease as lost:
            self._lost = lost
        finally:
            connection.close()  # a thread has a connection of its own

    @contextmanager
    def guarding(self, child: Child) -> Iterator[None]:
        """Whatever this thread waits for: when the lease may end, the child is dead."""
        done = threading.Event()
        thread = threading.Thread(target=self._guard, args=(child, done), name="guard", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _guard(self, child: Child, done: threading.Event) -> None:
        while not done.wait(min(PAUSE_SECONDS, settings.HEARTBEAT_SECONDS)):
            if time.monotonic() > self.trusted_until + settings.HEARTBEAT_SECONDS:
                logger.warning("%s: no heartbeat for too long; its child is killed", self.job)
                child.kill()
                return
