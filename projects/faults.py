"""Named places in the work of a run where a test may let the process die, stop, stumble or find a full disk.

`LUTHIER_FAULT` arms them: "point:action[:nth[:probability]]", several separated by commas, or a folder in which a test
lays one file per armed point (its text is the action); whichever process reaches that point first takes the file and
bears the fault. Outside a test installation the process refuses to start with it. Off, a point is one lookup in an
empty dictionary. Plain Python: the engines pass points, too.
"""

import errno
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

FAULT, ALLOWED = "LUTHIER_FAULT", "LUTHIER_TEST_INSTALLATION"
TAKEN = "taken"
SLEEP_SECONDS = 3.0

POINTS = {
    "leases.queued": "A job is queued and its wake-up is ordered; nothing is committed.",
    "leases.before_claim": "A waiting row has been chosen and is not claimed.",
    "leases.claim_written": "The row is claimed; its attempt has no row and nothing is committed.",
    "leases.after_claim": "The claim is committed and no supervisor knows of it.",
    "leases.before_heartbeat": "The lease is about to be prolonged.",
    "leases.after_heartbeat": "The lease has been prolonged.",
    "leases.before_fenced_write": "A worker is about to write under its fence.",
    "leases.cancel_written": "The wish to cancel is written; its line of audit is not.",
    "leases.held": "The row of a job that ends is locked.",
    "leases.end_written": "The final state is written; its attempt is open and nothing is committed.",
    "leases.attempt_closed": "The attempt is closed; its ledger line is missing and nothing is committed.",
    "leases.attempt_booked": "The ledger line is written and nothing is committed.",
    "leases.handed_back": "A job whose host stops is back in its queue and nothing is committed.",
    "leases.before_give_back": "A lease that has run out has been seen and its job is not given back.",
    "leases.loss_written": "The attempt of a lost worker is closed; the job is not queued again, nothing committed.",
    "leases.lost_requeued": "A lost job is in its queue again and nothing is committed.",
    "waking.before_send": "A wake-up is about to be sent.",
    "waking.after_send": "A wake-up has been sent.",
    "events.noted": "An event's row is written; nobody who is to be told has one, and nothing is committed.",
    "events.addressed": "An event and all who are to be told of it are written, and nothing is committed.",
    "events.one_noted": "A test's event is written; its delivery is not, and nothing is committed.",
    "sending.claim_written": "Something to send is claimed; its attempt has no row and nothing is committed.",
    "sending.claimed": "The claim is committed and nothing has been sent.",
    "sending.sent": "It was sent, and how that went is not written down.",
    "sending.result_written": "How it went is written; the attempt is open and nothing is committed.",
    "sending.recovered": "Something whose sender is lost waits again and nothing is committed.",
    "letters.begun": "A letter's row is written; what it tells of has not joined it, and nothing is committed.",
    "delivered.before_sweep": "What is stranded is given up; old events are still there.",
    "courier.before_start": "Something is due and the process that sends it is not started.",
    "reconciler.begun": "A sweep begins.",
    "reconciler.given_back": "One expired lease has been given back.",
    "reconciler.before_wake": "All leases have been looked at and nobody has been woken.",
    "reconciler.swept": "A sweep has ended.",
    "supervision.before_start": "A claimed job is about to get its supervisor.",
    "supervision.after_start": "The supervisor of a claimed job has been started.",
    "supervision.begun": "A supervisor begins with the job it was started for.",
    "supervision.prepared": "The spec is written and no child is started.",
    "supervision.child_started": "The child has been started.",
    "supervision.before_note": "The child has said something and it is not noted.",
    "supervision.after_note": "What the child said has been noted.",
    "pausing.wish_written": "The wish to pause is written; its line of audit is not.",
    "pausing.resumed": "A paused job is in its queue again and nothing is committed.",
    "pausing.rested": "The attempt of a job that pauses is closed, the job is paused, and nothing is committed.",
    "supervision.before_pause": "The child is about to be asked to save and rest.",
    "supervision.before_stop": "The child is about to be asked to save and stop.",
    "supervision.child_ended": "The child has ended and how is not written down.",
    "supervision.before_complete": "The row of a success is locked; nothing of its result is stored.",
    "supervision.after_complete": "The result and its rows are written; the job is not finished, nothing committed.",
    "supervision.before_fail": "A job is about to fail and nothing of it is written.",
    "supervision.concluded": "The end is committed; what comes after it is not begun.",
    "supervision.after_done": "What comes after the end is done.",
    "child.before_spawn": "The child's process is about to be made.",
    "child.spawned": "The child's process has been made and nobody reads what it says.",
    "child.before_kill": "The child's group is about to be killed.",
    "artefacts.manifest_written": "The manifest lies in the work folder; nothing is copied.",
    "artefacts.copied": "The files are copied aside and not flushed.",
    "artefacts.before_rename": "The files are flushed aside and do not exist under their key.",
    "artefacts.after_rename": "The files exist under their key; their folder is not flushed.",
    "artefacts.committed": "The files stand; no row knows of them.",
    "artefacts.part_written": "An uploaded file is written and flushed aside.",
    "artefacts.part_renamed": "An uploaded file exists under its key; no row knows of it.",
    "artefacts.before_seal": "The parts of an upload are all there; the manifest that joins them is not.",
    "artefacts.sealed": "The parts of an upload are joined; its row is not written.",
    "artefacts.before_delete": "Stored files are about to be removed.",
    "run.spec_written": "The spec of an attempt is written.",
    "run.start_noted": "Device and steps of a started run are written.",
    "run.data_noted": "What the engine did with the rows is written.",
    "run.metrics_fenced": "The step is written under the fence; its metrics are not, and nothing is committed.",
    "run.samples_noted": "Answers of the model to its prompts are written.",
    "run.metrics_noted": "Metrics of a step are written.",
    "run.checkpoint_noted": "The row knows of the newest checkpoint.",
    "run.before_adapter": "The adapter's files stand under their key; its row does not.",
    "run.adapter_written": "The adapter's row is written and nothing is committed.",
    "run.before_tidy": "A run has succeeded; its checkpoints are still there.",
    "run.tidied": "The checkpoints of a succeeded run are gone.",
    "checkpoints.staged": "A checkpoint is written aside; it is neither hashed nor flushed.",
    "checkpoints.hashed": "A checkpoint's manifest is written and not flushed.",
    "checkpoints.flushed": "A checkpoint is flushed and not yet in its place.",
    "checkpoints.before_rename": "The place of a checkpoint is free and it is not renamed.",
    "checkpoints.renamed": "A checkpoint is in its place; its folder is not flushed.",
    "checkpoints.before_forget": "A new checkpoint stands; older ones are about to go.",
    "checkpoints.committed": "A checkpoint stands and nobody has been told.",
    "checkpoints.taken_over": "A new attempt has said that it is the one to save from now on.",
    "checkpoints.before_restart": "A person chose where to go on; what lies beyond is not removed.",
    "checkpoints.before_sweep": "A new attempt is about to remove what dead ones left half-written.",
    "engine.loaded": "The engine has read its spec and looked for a checkpoint; nothing is trained.",
    "engine.trained": "All steps are done; no adapter is written.",
    "engine.before_adapter": "The adapter's folder is about to be written.",
    "engine.adapter_written": "The adapter is written and flushed; nobody has been told.",
    "incoming.part_kept": "The row of an uploaded part is written and nothing is committed.",
    "incoming.closed": "An upload is assembled and its reading queued; nothing is committed.",
    "versions.written": "A version's row is written; its findings are not, and nothing is committed.",
    "release.filled": "A release is copied and verified aside.",
    "release.before_switch": "The slot is locked and still points at the old release.",
    "release.switched": "The slot points at the new release; nobody has been told.",
}  # fmt: skip


class BadFault(RuntimeError):
    """An armed fault that cannot be, or a process that is nobody's test."""


class Armed(Protocol):
    def take(self) -> str | None:
        """The action to bear now; None to pass by."""


@dataclass
class Planned:
    """From the `nth` time on that this process passes, with this probability; a certain one strikes once."""

    action: str
    nth: int = 1
    probability: float = 1.0
    passed: int = 0

    def take(self) -> str | None:
        self.passed += 1
        if self.probability >= 1:
            return self.action if self.passed == self.nth else None
        return self.action if self.passed >= self.nth and random.random() < self.probability else None


@dataclass
class Laid:
    """A file that whoever passes first takes away; its new name says which process that was."""

    file: Path

    def take(self) -> str | None:
        taken = self.file.parent / TAKEN / f"{self.file.name}~{os.getpid()}~{time.time_ns()}"
        try:
            os.rename(self.file, taken)
        except FileNotFoundError:
            return None
        return taken.read_text().strip()


def point(name: str) -> None:
    """Pass this place, or bear what was armed for it."""
    armed = _armed.get(name)
    if armed is not None and (action := armed.take()):
        print(f"fault: {name}: {action}", file=sys.stderr, flush=True)
        bear(action)


def bear(action: str) -> None:
    """`kill`, `stop`, `term`, `raise` (the database is away), `enospc`, `sleep` or `sleep=SECONDS`."""
    word, _, amount = action.partition("=")
    if word in SIGNALS:
        os.kill(os.getpid(), SIGNALS[word])
    elif word == "sleep":
        time.sleep(float(amount or SLEEP_SECONDS))
    elif word == "enospc":
        raise OSError(errno.ENOSPC, "No space left on device (a fault of this test)")
    else:
        raise _database_error()


SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}
ACTIONS = frozenset(SIGNALS) | {"raise", "enospc", "sleep"}


def _database_error() -> Exception:
    """What a lost database raises; a process that has no database meets a bad disk."""
    django_db = sys.modules.get("django.db")
    text = "server closed the connection (a fault of this test)"
    return OSError(errno.EIO, text) if django_db is None else django_db.OperationalError(text)


def read(environment: Mapping[str, str]) -> dict[str, Armed]:
    """The armed points by name; nothing without the variable, and an error outside a test installation."""
    text = environment.get(FAULT, "")
    if not text:
        return {}
    if environment.get(ALLOWED) != "1":
        raise BadFault(f"{FAULT} is set, but this is no test installation ({ALLOWED}=1). Unset it.")
    if text.startswith("/"):
        folder = Path(text)
        (folder / TAKEN).mkdir(parents=True, exist_ok=True)
        return {name: Laid(folder / name) for name in POINTS}
    return dict(_planned(part.strip()) for part in text.split(","))


def _planned(text: str) -> tuple[str, Armed]:
    name, *rest = text.split(":")
    if name not in POINTS:
        raise BadFault(f"There is no point named {name!r}.")
    if not 1 <= len(rest) <= 3 or rest[0].partition("=")[0] not in ACTIONS:
        raise BadFault(f"{text!r} is not point:action[:nth[:probability]] with an action of {sorted(ACTIONS)}.")
    return name, Planned(rest[0], *(kind(word) for kind, word in zip((int, float), rest[1:], strict=False)))


_armed: dict[str, Armed] = read(os.environ)
