"""The courier: a process of its own that sends what is due, so that no slow receiver ever holds a worker.

A worker starts one when something is due, by a message or with a beat of its own; one a host is enough, and any number
of hosts may have one. It ends when nothing is due.
"""

import fcntl
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from projects import faults, keyring, letters, outbound, sending
from projects.clock import database_time
from projects.domain import signing
from projects.domain.addresses import NotAllowed
from projects.models import Delivery, Letter
from projects.sending import Result

logger = logging.getLogger(__name__)
LINGER_SECONDS = 2.0


def start_if_due() -> bool:
    """Start a courier on this host if there is something to send and none is at it."""
    if not anything_due() or _is_at_work():
        return False
    faults.point("courier.before_start")
    if settings.SUPERVISE_INLINE:
        run()
        return True
    log = Path(settings.DATA_DIR) / "logs" / "courier.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "courier"],
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    return True


def anything_due() -> bool:
    now = database_time()
    overdue = any(model.objects.filter(state="sending", lease_until__lt=now).exists() for model in sending.KINDS)
    return overdue or letters.is_due(now) or any(sending.due(model, now).exists() for model in sending.KINDS)


def run() -> int:
    """Send until nothing is due; returns how many were tried. Does nothing while another courier of this host does."""
    tried = 0
    with one_courier() as mine:
        while mine and anything_due():
            sending.recover()
            letters.bundle()
            tried += _send_all()
            if not settings.SUPERVISE_INLINE:
                time.sleep(LINGER_SECONDS)  # what comes in now need not start another process
    return tried


def _lock_path() -> Path:
    return Path(settings.WORK_DIR) / f"courier-{settings.WORKER_HOST}.lock"


@contextmanager
def one_courier() -> Iterator[bool]:
    """Whether this is the only courier of the host, and for as long as that."""
    path = _lock_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _is_at_work() -> bool:
    with one_courier() as free:
        return not free


def _send_all() -> int:
    if settings.SUPERVISE_INLINE:
        return _work()
    done: list[int] = []
    threads = [
        threading.Thread(target=_work_apart, args=(done,), name=f"sender-{number}")
        for number in range(settings.SENDERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done)


def _work_apart(done: list[int]) -> None:
    """In a thread of its own, with a connection of its own."""
    close_old_connections()
    try:
        done.append(_work())
    except (DatabaseError, OSError) as error:
        logger.warning("a sender stops: %s", error)
    finally:
        connection.close()


def _work() -> int:
    tried = 0
    for model in sending.KINDS:
        while (row := sending.claim(model)) is not None:
            _send(row)
            tried += 1
    return tried


def _send(row: Any) -> None:
    began = time.monotonic()
    result = send_letter(row) if isinstance(row, Letter) else send_delivery(row)
    faults.point("sending.sent")
    try:
        sending.note(row, result, round((time.monotonic() - began) * 1000))
    except sending.LostClaim as lost:
        logger.warning("%s is sent by somebody else, or is gone", lost)


def send_delivery(delivery: Delivery) -> Result:
    """One signed request."""
    event, endpoint = delivery.event, delivery.endpoint
    now = database_time()
    body = signing.body_of(event.name, event.at, event.data)
    try:
        valid = keyring.valid_secrets(endpoint, now)
        headers = signing.headers_of(valid, event.uid, int(now.timestamp()), body)
        answer = outbound.post(endpoint.url, body, headers)
    except signing.NoSuchKey:
        return Result(False, "key_changed", "The key of this installation has changed. Replace the secret.")
    except NotAllowed as refused:
        return Result(False, refused.code, refused.message)
    except outbound.Unsent as unsent:
        return Result(False, unsent.code, unsent.message)
    ok = 200 <= answer.status < 300
    code, message = ("", "") if ok else _why(answer.status)
    return Result(ok, code, message, answer.status, answer.start, answer.address, answer.retry_after)


def _why(status: int) -> tuple[str, str]:
    if 300 <= status < 400:
        return "redirect", f"It answered {status}. Redirects are not followed: give the address that it leads to."
    return f"http_{status}", f"It answered {status}, and only 2xx says that it has arrived."


def send_letter(letter: Letter) -> Result:
    """One e-mail, unless nobody wants it any more."""
    try:
        wanted = letters.send(letter)
    except letters.UNSENT as error:
        return Result(False, "mail_failed", f"{type(error).__name__}: {error}"[:300])
    return Result(True) if wanted else Result(True, "not_wanted", "Nobody wants it any more; it was not sent.")
