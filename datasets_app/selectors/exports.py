"""Rows of a version for files that leave: a group at a time, and how many of them a shape cannot hold whole."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from datasets_app.domain.exports import LOSSES, SHAPES, Loss, Shape, losses
from datasets_app.domain.formats.base import Row
from datasets_app.domain.purposes import Kind
from datasets_app.models import DatasetVersion
from datasets_app.selectors.rows import version_path

NAMED = 20  # rows that a warning names
KEPT = 256  # contents whose counts are remembered; they never change
_known: dict[tuple[str, frozenset[Loss]], "Lost"] = {}


@dataclass(frozen=True)
class Lost:
    """`rows` rows lose something; the first of them by index, and how many lose what."""

    rows: int
    first: tuple[int, ...]
    counts: dict[Loss, int]

    def words(self) -> list[tuple[int, str]]:
        return [(self.counts[loss], LOSSES[loss]) for loss in Loss if self.counts.get(loss)]


def row_groups(version: DatasetVersion) -> Iterator[list[Row]]:
    """All rows in their order, about a thousand at a time."""
    import pyarrow.parquet as pq

    from datasets_app.engine.table import as_row

    file = pq.ParquetFile(version_path(version))
    for group in range(file.num_row_groups):
        yield [as_row(record) for record in file.read_row_group(group, use_threads=False).to_pylist()]


def lost_in(version: DatasetVersion, shape: Shape) -> Lost:
    """What the rows of this version lose in this shape."""
    wanted = SHAPES[shape].loses
    if not wanted:
        return Lost(0, (), {})
    if len(_known) > KEPT:
        _known.clear()
    mark = (version.content_hash, wanted)
    if mark not in _known:
        _known[mark] = _lost(version, wanted)
    return _known[mark]


def _lost(version: DatasetVersion, wanted: frozenset[Loss]) -> Lost:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(version_path(version))
    rows, counts = 0, Counter[Loss]()
    first: list[int] = []
    for group in range(file.num_row_groups):
        columns = ["index", "kind", "messages", "chosen", "rejected", "tools"]
        table = file.read_row_group(group, columns=columns, use_threads=False)
        for index, found in _losing(table):
            hit = found & wanted
            counts.update(hit)
            rows += bool(hit)
            if hit and len(first) < NAMED:
                first.append(index)
    return Lost(rows, tuple(first), dict(counts))


# How turns are spelt in the store. Quotes inside of a text are escaped there, so these cannot be part of one.
SPELT = {
    Loss.WEIGHTS: ('"weight":',),
    Loss.THINKING: ('"thinking":', '"reasoning_content":'),
    Loss.NAMES: ('"name":', '"tool_call_id":'),
    Loss.TOOLS: ('"tool_calls":', '"role":"tool"'),
}


def _losing(table: Any) -> Iterator[tuple[int, set[Loss]]]:
    """Rows that may lose something. Most rows are told by how they are spelt; only odd ones are taken apart."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from datasets_app.engine.table import loaded

    turns = pc.binary_join_element_wise(
        *(
            pc.fill_null(table.column(name).combine_chunks().cast(pa.large_string()), "")
            for name in ("messages", "chosen", "rejected")
        ),
        pa.scalar("", pa.large_string()),
    )
    answers = 3 if table.column("kind")[0].as_py() == Kind.PREFERENCE else 2
    asked = pc.subtract(pc.count_substring(turns, '"role":'), pc.count_substring(turns, '"role":"system"'))
    plain = pc.equal(asked, answers)  # one question and its answer, or its two answers
    odd = pc.or_(pc.invert(plain), pc.is_valid(table.column("tools").combine_chunks()))
    for pattern in (one for patterns in SPELT.values() for one in patterns):
        odd = pc.or_(odd, pc.match_substring(turns, pattern))
    for record in table.filter(odd).to_pylist():
        kind = Kind(record["kind"])
        named = {name: loaded(record[name]) for name in ("messages", "chosen", "rejected", "tools")}
        yield record["index"], losses(Row(kind, named["messages"] or [], *list(named.values())[1:]))
