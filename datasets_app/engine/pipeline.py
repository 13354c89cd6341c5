"""Batches through the writer and the analysers, each in a thread of its own, as fast as the slowest of them."""

import hashlib
import importlib
import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from datasets_app.domain import hashing
from datasets_app.domain.findings import Found
from datasets_app.engine import limits
from datasets_app.engine.about import About
from datasets_app.engine.batch import Batch
from datasets_app.engine.facts import Analyser, Facts
from datasets_app.engine.table import ROWS_FILE, Identities, RowWriter, as_row

WAITING = 2  # batches that may wait for one analyser: bounds the memory, whatever the size of the file
STACK = 2 * 1024 * 1024  # bytes; the usual eight of each thread would count against the memory limit
EXAMPLES = 10
PATIENCE = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is looked for, and against what."""

    purpose: str = "training"
    golden: list[tuple[int, Path]] = field(default_factory=list)  # id and rows.parquet of each golden version
    tokenizer: Path | None = None
    max_length: int | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    parents: list[dict[str, Any]] = field(default_factory=list)  # statistics of the versions this one comes from

    @classmethod
    def of(cls, spec: dict[str, Any]) -> Self:
        return cls(
            purpose=spec.get("purpose") or "training",
            golden=[(int(one["id"]), Path(one["path"])) for one in spec.get("golden") or []],
            tokenizer=Path(spec["tokenizer"]) if spec.get("tokenizer") else None,
            max_length=spec.get("max_length"),
            provenance=spec.get("provenance") or {},
            policy=spec.get("policy") or {},
            parents=spec.get("parents") or [],
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    rows: int
    kind: str
    content_hash: str
    stats: dict[str, Any]
    findings: list[dict[str, Any]]
    facts: Facts

    def as_result(self) -> dict[str, Any]:
        return {
            "rows_good": self.rows,
            "kind": self.kind,
            "content_hash": self.content_hash,
            "stats": self.stats,
            "findings": self.findings,
        }


class Pipeline:
    """`feed` batches in their order, then `finish`; as a context manager it leaves no thread behind."""

    def __init__(self, out: Path, plan: Plan) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.plan = out, plan
        self.rows, self.kind = 0, ""
        self.cpu: dict[str, float] = {}  # seconds by step
        self._content = hashlib.sha256()
        self._row_hashes: list[NDArray[np.int64]] = []
        self._began = time.thread_time()
        self.analysers = analysers(plan, out)
        self._book("start")
        self._words = next((a for a in self.analysers if hasattr(a, "identities")), None)
        self._writer, self._about = RowWriter(out / ROWS_FILE), About(out)
        self._lanes = [Lane("write", self._write), *(Lane(a.name, a.take) for a in self.analysers)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lane in self._lanes:
            lane.stop()
        if error is not None:
            self._writer.abandon()
            self._about.abandon()

    def feed(self, batch: Batch) -> None:
        """Hand a batch to everybody; waits while the slowest is behind, raises what went wrong in any of them."""
        if not batch.rows:
            return
        if not self.rows:
            self.kind = batch.table.column("kind")[0].as_py()
        self._book("parse")
        self._digest(batch)
        self._book("exact")
        self.rows += batch.rows
        limits.earn(batch.text.nbytes, batch.rows)
        for lane in self._lanes:
            lane.put(batch)

    def finish(self, ignored: Counter[str] | None = None) -> Outcome:
        """Everybody's last word, in the order of the analysers; then the files of the findings."""
        self._book("parse")
        facts = Facts(purpose=self.plan.purpose, rows=self.rows, kind=self.kind)
        self._duplicates(facts)
        self._book("exact")
        self._lanes[0].end()
        self._writer.close()
        self._about.close()
        self._book("write")
        for analyser, lane in zip(self.analysers, self._lanes[1:], strict=True):
            lane.end()
            analyser.finish(facts)
            if hasattr(analyser, "save"):
                analyser.save(self.out)
            self._book(analyser.name)
        if ignored:
            facts.note(
                Found.IGNORED_FIELDS, [], {"fields": [[name, n] for name, n in ignored.most_common(30)]}, count=0
            )
        facts.write(self.out)
        facts.stats.setdefault("rows", self.rows)
        facts.stats.setdefault("kind", self.kind)
        self._book("write")
        return Outcome(self.rows, self.kind, self._content.hexdigest(), facts.stats, facts.findings(), facts)

    def seconds(self) -> dict[str, float]:
        """CPU seconds by step, those of analysers that keep their own books in detail."""
        whole = defaultdict(float, self.cpu)
        for lane in self._lanes:
            whole[lane.name] += lane.seconds
        for analyser in self.analysers:
            for step, spent in getattr(analyser, "cpu", {}).items():
                whole[step] += spent
                whole[analyser.name] -= spent
        return {step: round(max(0.0, spent), 3) for step, spent in whole.items()}

    def book(self, step: str, seconds: float, *, of: str) -> None:
        """Seconds that were measured inside one step belong to another."""
        self.cpu[step] = self.cpu.get(step, 0.0) + seconds
        self.cpu[of] = self.cpu.get(of, 0.0) - seconds

    def _write(self, batch: Batch) -> None:
        self._writer.write(batch, self._identities(batch))
        self._about.take(batch.table)

    def _identities(self, batch: Batch) -> Identities:
        if self._words is not None:
            return self._words.identities(batch)
        return identities(batch)

    def _digest(self, batch: Batch) -> None:
        """The content hash goes over digest, label and tags of each row, in order."""
        labels, tags = batch.table.column("label"), batch.table.column("tags")
        self._row_hashes.append(row_hashes(batch))
        if labels.null_count == tags.null_count == batch.rows:
            plain: NDArray[np.uint8] = np.empty((batch.rows, 34), dtype=np.uint8)
            plain[:, :32], plain[:, 32], plain[:, 33] = batch.digest, 0x1F, 0x0A
            self._content.update(plain.data)
            return
        joined = [tags_as_text(value) for value in tags.to_pylist()]
        digests = batch.digest.tobytes()
        self._content.update(
            b"".join(
                digests[32 * n : 32 * n + 32] + f"{label or ''}\x1f{tag}\n".encode()
                for n, (label, tag) in enumerate(zip(labels.to_pylist(), joined, strict=True))
            )
        )

    def _duplicates(self, facts: Facts) -> None:
        """Every row but the first of each set of equal ones, in file order."""
        hashes = np.concatenate(self._row_hashes) if self._row_hashes else np.zeros(0, np.int64)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(hashes) else order
        sizes: NDArray[np.int64] = np.diff(np.append(starts, len(hashes)))
        first: NDArray[np.int64] = np.empty(len(hashes), dtype=np.int64)
        first[order] = np.repeat(order[starts], sizes)
        surplus = np.flatnonzero(first != np.arange(len(hashes)))
        pairs = [[int(first[n]), int(n)] for n in surplus[:EXAMPLES]]
        detail = {"sets": int((sizes > 1).sum()), "largest": int(sizes.max(initial=0)), "pairs": pairs}
        facts.note(Found.EXACT_DUPLICATES, surplus, detail)
        facts.stats["distinct_rows"] = len(starts)

    def _book(self, step: str) -> None:
        now = time.thread_time()
        self.cpu[step] = self.cpu.get(step, 0.0) + now - self._began
        self._began = now


class Lane:
    """One thread that takes batches in order; its failure is raised by the next `put` or by `end`."""

    def __init__(self, name: str, take: Callable[[Batch], None]) -> None:
        self.name, self.seconds = name, 0.0
        self._take = take
        self._queue: queue.Queue[Batch | None] = queue.Queue(WAITING)
        self._failure: BaseException | None = None
        self._stopped = False
        before = threading.stack_size(STACK)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        threading.stack_size(before)

    def put(self, batch: Batch | None) -> None:
        while True:
            if self._failure is not None:
                raise self._failure
            try:
                return self._queue.put(batch, timeout=PATIENCE)
            except queue.Full:
                continue

    def end(self) -> None:
        """Wait until everything is taken."""
        self.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Leave what waits; the thread ends after the batch it is at."""
        self._stopped = True
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            pass  # it looks at the flag before it takes the next batch
        self._thread.join(timeout=10)

    def _run(self) -> None:
        began = time.thread_time()
        try:
            while (batch := self._queue.get()) is not None and not self._stopped:
                self._take(batch)
        except BaseException as failure:
            self._failure = failure
        self.seconds = time.thread_time() - began


def analysers(plan: Plan, out: Path) -> list[Analyser]:
    """In the order in which they finish: later ones may read what earlier ones found."""
    made: list[Analyser | None] = [
        _made("structure", "Structure", plan.purpose),
        _made("words", "Words", plan.purpose, golden=plan.golden, workdir=out, parents=plan.parents),
        _made("sensitive", "Sensitive"),
        _made("tokens", "Tokens", plan.tokenizer, max_length=plan.max_length) if plan.tokenizer else None,
        _made("origins", "Origins", plan.provenance, plan.policy),
    ]
    return [one for one in made if one is not None]


def _made(module: str, name: str, *args: Any, **options: Any) -> Analyser | None:
    """An analyser of this installation; None for one that it does not have."""
    full = f"datasets_app.engine.{module}"
    try:
        found = importlib.import_module(full)
    except ModuleNotFoundError as missing:
        if missing.name != full:
            raise
        return None
    return getattr(found, name)(*args, **options)


def row_hashes(batch: Batch) -> NDArray[np.int64]:
    return np.ascontiguousarray(batch.digest[:, :8]).view(">i8").ravel().astype(np.int64)


def identities(batch: Batch) -> Identities:
    """The hashes stored beside each row, row by row as domain.hashing defines them."""
    rows = [as_row(record) for record in batch.table.to_pylist()]
    prompts = np.array([hashing.prompt_hash(row) for row in rows], dtype=np.int64)
    norms = np.array([hashing.prompt_norm_hash(row) for row in rows], dtype=np.int64)
    return row_hashes(batch), prompts, norms


def tags_as_text(tags: str | None) -> str:
    return ",".join(orjson.loads(tags)) if tags else ""
