"""Following a recipe: the rows of one version or several, less or changed, become the next; or a preview of that."""

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datasets_app.domain import provenance
from datasets_app.domain.codes import Code
from datasets_app.domain.languages import Language
from datasets_app.domain.recipes import Op, Step, read_steps
from datasets_app.engine import events, leakage, limits
from datasets_app.engine.groups import clusters_of
from datasets_app.engine.pipeline import Pipeline, Plan
from datasets_app.engine.refusal import FileRefused
from datasets_app.engine.scan import batched
from datasets_app.engine.steps import Item, Setting, Split, Surveyed, Work, counted, found_rows, work_of
from datasets_app.engine.table import as_row

SAY_EVERY = 2000
LANGUAGES = "words.language.npy"
# What rows.parquet holds of a row; hashes other than its own are not needed on the way.
READ = [
    "index", "kind", "messages", "chosen", "rejected", "tools", "text", "label", "tags", "source_id", "extras",
    "provenance", "line", "row_hash",
]  # fmt: skip


class Sources:
    """The rows that a recipe starts from, one file after another; those of one upload in the order of their lines."""

    def __init__(self, given: list[dict[str, Any]], *, by_line: bool = False) -> None:
        self.paths = [Path(one["path"]) for one in given]
        self.defaults = [one.get("provenance") or {} for one in given]
        self.by_line = by_line
        self.files = [pq.ParquetFile(path) for path in self.paths]
        self.rows = [file.metadata.num_rows for file in self.files]
        self.first = np.concatenate([[0], np.cumsum(self.rows)]).astype(np.int64)
        self.total = int(self.first[-1])

    @property
    def bytes(self) -> int:
        """Of the columns as they are in memory."""
        return sum(
            file.metadata.row_group(g).total_byte_size for file in self.files for g in range(file.num_row_groups)
        )

    def __iter__(self) -> Iterator[Item]:
        streams = [self._read(n) for n in range(len(self.files))]
        if self.by_line:
            yield from heapq.merge(*streams, key=lambda item: item.line)
            return
        for stream in streams:
            yield from stream

    def _read(self, n: int) -> Iterator[Item]:
        file, at, default = self.files[n], int(self.first[n]), self.defaults[n]
        columns = [name for name in READ if name in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            for record in file.read_row_group(group, columns=columns, use_threads=False).to_pylist():
                row = as_row(record)
                if default:
                    row.provenance = provenance.merged(default, row.provenance)
                yield Item(at, record["index"], record["line"], row, record["row_hash"])
                at += 1

    def places(self, of: Any) -> NDArray[np.int64]:
        """Rows that `of(path)` names in each file, as places in all of them together."""
        found = [of(path) + first for path, first in zip(self.paths, self.first, strict=False)]
        return np.concatenate(found) if found else np.zeros(0, np.int64)


class Build:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.out = Path(spec["out_dir"])
        self.steps = read_steps(spec["steps"])
        self.sources = Sources(spec["sources"], by_line=self.steps[0].op == Op.ASSEMBLE)
        self.plan = Plan.of(spec)
        self.golden = {int(g["id"]): Path(g["path"]) for g in spec.get("golden", [])}
        self.setting = Setting(
            total=self.sources.total,
            rows_of_finding=lambda code: self.sources.places(lambda path: found_rows(path.parent, code)),
            overlapping=self._overlapping,
            clusters=self._clusters,
            languages=self._languages,
            by=spec.get("by", ""),
            at=spec.get("at", ""),
            salt=spec.get("salt", ""),
        )
        self._known_clusters: NDArray[np.int64] | None = None
        self.works: list[Work] = []

    def run(self) -> dict[str, Any]:
        """The new version in the folder, and what each step did."""
        self._prepare()
        with Pipeline(self.out, self.plan) as pipeline:
            rows = ((item.line, item.row) for item in self._passed(self.works))
            for batch in batched(rows):
                pipeline.feed(batch)
                events.emit("progress", phase="writing", done=pipeline.rows, total=self.sources.total)
            if not pipeline.rows:
                raise FileRefused(Code.NO_ROWS_LEFT, f"all {self.sources.total} rows are dropped")
            outcome = pipeline.finish()
        return {**outcome.as_result(), "steps": self._applied(), "cpu_s": pipeline.seconds()}

    def preview(self) -> dict[str, Any]:
        """What each step would do, with examples; nothing is written."""
        self._prepare()
        left = sum(1 for _ in self._passed(self.works))
        steps = [
            {**entry, "examples": work.tally.examples, **(work.report if isinstance(work, Split) else {})}
            for entry, work in zip(self._applied(), self.works, strict=True)
        ]
        return {"report": {"rows": self.sources.total, "left": left, "steps": steps}}

    def _prepare(self) -> None:
        """Steps that must know all rows first are told, in their order; each costs one more pass."""
        passes = 1 + sum(step.op in (Op.SAMPLE, Op.SPLIT) for step in self.steps)
        # A stored version is honest: its rows were counted when they came in.
        limits.earn(self.sources.bytes, self.sources.total)
        limits.earn_time(passes * self.sources.bytes)
        for step in self.steps:
            work = work_of(step, self.setting)
            if isinstance(work, Surveyed):
                for item in self._passed(self.works, "surveying"):
                    work.note(item)
                work.decide()
            self.works.append(work)

    def _passed(self, works: list[Work], phase: str = "reading") -> Iterator[Item]:
        """The rows that come through these steps."""
        for work in works:
            work.begin()
        for n, start in enumerate(self.sources):
            item: Item | None = start
            for work in works:
                if item is None:
                    break
                item = counted(work, item)
            if n % SAY_EVERY == 0:
                events.emit("progress", phase=phase, done=n, total=self.sources.total)
            if item is not None:
                yield item

    def _applied(self) -> list[dict[str, Any]]:
        return [
            {
                **work.step.as_dict(),
                "rows": work.tally.dropped + work.tally.changed,
                "dropped": work.tally.dropped,
                "changed": work.tally.changed,
            }
            for work in self.works
        ]

    def _clusters(self) -> NDArray[np.int64]:
        if self._known_clusters is None:
            sizes = dict(zip(self.sources.paths, self.sources.rows, strict=True))
            self._known_clusters = self.sources.places(lambda path: clusters_of(path, sizes[path]))
        return self._known_clusters

    def _languages(self) -> list[str]:
        sizes = zip(self.sources.paths, self.sources.rows, strict=True)
        return [name for path, rows in sizes for name in languages_of(path, rows)]

    def _overlapping(self, step: Step) -> NDArray[np.int64]:
        kinds = set(step.args.get("kinds") or leakage.KINDS)
        golden = [self.golden[pk] for pk in step.golden]
        return self.sources.places(lambda path: overlapping(path, golden, kinds, self.out))


def build(spec: dict[str, Any]) -> dict[str, Any]:
    return Build(spec).run()


def preview(spec: dict[str, Any]) -> dict[str, Any]:
    return Build(spec).preview()


def overlapping(path: Path, golden: list[Path], kinds: set[str], workdir: Path) -> NDArray[np.int64]:
    """Rows of a version that share their prompt with one of the golden sets, in one of the kinds."""
    workdir.mkdir(parents=True, exist_ok=True)
    wanted = [n for n, kind in enumerate(leakage.KINDS) if kind in kinds]
    found = leakage.rows_found(path, list(enumerate(golden)), workdir)
    return np.unique(np.concatenate([rows[np.isin(how, wanted)] for rows, how in found] or [np.zeros(0, np.int64)]))


def languages_of(path: Path, rows: int) -> list[str]:
    """The short name of each row's language ("en"); "unknown" where nobody has looked."""
    found = path.parent / LANGUAGES
    if not found.is_file():
        return [Language.UNKNOWN.name.lower()] * rows
    names = {language.value: language.name.lower() for language in Language}
    return [names[n] for n in np.load(found, allow_pickle=False).tolist()]
