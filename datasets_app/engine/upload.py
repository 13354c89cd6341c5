"""Reading an upload: every record becomes a row of the version or a bad row with its reason, in one pass."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from time import monotonic, thread_time
from typing import Any

import orjson
import pyarrow as pa

from datasets_app.domain import provenance
from datasets_app.domain.codes import Code
from datasets_app.domain.formats.base import Format
from datasets_app.engine import events, limits
from datasets_app.engine.aside import EXAMPLES, Aside
from datasets_app.engine.batch import COLUMNS, Batch, dumped
from datasets_app.engine.limits import Limits
from datasets_app.engine.mending import Mender
from datasets_app.engine.reading import Bad, Reading
from datasets_app.engine.refusal import FileRefused

SAMPLES = 3
BAD_AT_ONCE = 200
SAY_EVERY = 0.5


class Upload:
    """One file, or the parts of one file in their order."""

    def __init__(self, spec: dict[str, Any], bounds: Limits) -> None:
        self.limits = bounds
        self.out = Path(spec["out_dir"])
        self.spec = spec
        self.bad_codes: Counter[str] = Counter()
        self.samples: list[dict[str, Any]] = []
        self.aside = Aside(self.out)
        self._told = 0
        self._waiting: list[dict[str, Any]] = []
        self._said = 0.0

    def run(self) -> dict[str, Any]:
        sources = self.spec["source"] if isinstance(self.spec["source"], list) else [self.spec["source"]]
        forced = Format(self.spec["forced_format"]) if self.spec.get("forced_format") else None
        reading = Reading(
            [Path(path) for path in sources],
            self.spec["file_name"],
            self.limits,
            forced=forced,
            mapping={name: part for name, part in (self.spec.get("mapping") or {}).items() if name != "fixes"},
            workdir=self.out.parent,
            aside=self.aside,
            mender=Mender(
                self.spec.get("fixes") or [], self.limits, by=self.spec.get("by", ""), at=self.spec.get("at", "")
            ),
        )
        events.emit("progress", phase="reading", done=0, total=reading.size, rows=0)
        limits.earn_time(reading.size)
        try:
            return self._read(reading)
        except FileRefused as refused:
            if refused.code == Code.NO_GOOD_ROWS:
                self.aside.keep_examples(self.out.parent / EXAMPLES)
            raise
        finally:
            self._tell_bad()
            self.aside.close()
            reading.close()

    def _read(self, reading: Reading) -> dict[str, Any]:
        """The first batch is read, and told about, before what judges it is loaded: somebody is waiting to see it."""
        began = thread_time()
        batches = self.batches(reading)
        first = list(self._first(batches, reading))
        spent = thread_time() - began
        from datasets_app.engine.pipeline import Pipeline, Plan

        with Pipeline(self.out, Plan.of(self.spec)) as pipeline:
            pipeline.cpu["parse"] = spent
            for batch in chain(first, batches):
                pipeline.feed(batch)
                if pipeline.rows + self.aside.kept > self.limits.rows:
                    raise FileRefused(Code.TOO_MANY_ROWS, f"more than {self.limits.rows} rows")
                self._progress(reading, pipeline.rows)
            self._tell_bad()
            events.emit("progress", phase="judging", done=reading.size, total=reading.size, rows=pipeline.rows)
            pipeline.book("exact", reading.digesting, of="parse")
            outcome = pipeline.finish(reading.ignored)
        return {
            **outcome.as_result(),
            "rows_bad": self.aside.kept,
            "bad_codes": dict(self.bad_codes),
            "bad_rows_told": self._told,
            "samples": self.samples,
            "detected_format": reading.format_name,
            "file_type": reading.type_name,
            "cpu_s": pipeline.seconds(),
        }

    def _first(self, batches: Iterator[Batch], reading: Reading) -> Iterator[Batch]:
        """One batch of good rows; a file without any is refused."""
        for batch in batches:
            if batch.rows:
                self._progress(reading, batch.rows)
                yield batch
                return
        self._tell_bad()
        found = f"0 of {self.aside.kept} rows fit “{reading.format_name}”"
        raise FileRefused(Code.NO_GOOD_ROWS if self.bad_codes else Code.EMPTY_FILE, found)

    def batches(self, reading: Reading) -> Iterator[Batch]:
        for batch in reading.batches(self._note_bad, self._note_samples):
            stamp(batch, self.spec.get("provenance") or {})
            yield batch

    def _note_samples(self, rows: Iterator[dict[str, Any]]) -> None:
        """The first rows, as soon as they are known."""
        if len(self.samples) < SAMPLES:
            self.samples += list(rows)[: SAMPLES - len(self.samples)]
            events.emit("samples", samples=self.samples)

    def _note_bad(self, bad: Bad) -> None:
        self.bad_codes[bad.code] += 1
        if self._told + len(self._waiting) < self.limits.bad_rows_kept:
            self._waiting.append(bad.as_dict())
        if len(self._waiting) >= BAD_AT_ONCE:
            self._tell_bad()

    def _tell_bad(self) -> None:
        if self._waiting:
            events.emit("bad_rows", rows=self._waiting)
            self._told += len(self._waiting)
            self._waiting = []

    def _progress(self, reading: Reading, rows: int) -> None:
        if monotonic() - self._said > SAY_EVERY:
            self._said = monotonic()
            self._tell_bad()
            counts = {"rows": rows, "bad": self.aside.kept, "bad_codes": dict(self.bad_codes)}
            events.emit("progress", phase="reading", done=reading.consumed, total=reading.size, **counts)


def stamp(batch: Batch, said: dict[str, Any]) -> None:
    """What was said once for the whole file stands in every row, behind what the row says of itself."""
    if not provenance.cleaned(said):
        return
    own = batch.table.column("provenance").combine_chunks().dictionary_encode()
    own = own.combine_chunks() if isinstance(own, pa.ChunkedArray) else own
    texts = [
        dumped(provenance.merged(said, None if text is None else orjson.loads(text)))
        for text in [*own.dictionary.to_pylist(), None]
    ]
    column = pa.array(texts, pa.string()).take(own.indices.fill_null(len(texts) - 1))
    at = COLUMNS.get_field_index("provenance")
    batch.table = batch.table.set_column(at, COLUMNS.field(at), column)
