"""Arrow IPC, file or stream: mapped, not loaded; every batch is checked to the last offset before it is looked at."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from datasets_app.domain.codes import Code
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers.base import Items
from datasets_app.engine.readers.parquet import chosen, item_of, records
from datasets_app.engine.refusal import FileRefused

STEP, STEP_BYTES = 256, 2_000_000
MAGIC = b"ARROW1"
EXTENSION = b"ARROW:extension:name"


class ArrowRows:
    def __init__(self, path: Path, limits: Limits, renamed: frozenset[str] = frozenset()) -> None:
        """`renamed`: columns that a person has given a meaning."""
        self.limits = limits
        self.cap = limits.decoded_cap(path.stat().st_size)
        try:
            source = pa.memory_map(str(path))
            is_file = source.read(len(MAGIC)) == MAGIC
            source.seek(0)
            self._reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            self._is_file = is_file
            schema = self._reader.schema
            names = list(schema.names)  # damaged names are found here: they need not be UTF-8
            for field in schema:
                _refuse_extensions(field)
        except (MemoryError, pa.ArrowMemoryError) as error:
            raise FileRefused(Code.DECODED_TOO_LARGE, "a schema that needs more memory than the limit") from error
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FileRefused(Code.ARROW_DAMAGED, str(error)[:160]) from error
        if len(set(names)) < len(names):
            raise FileRefused(Code.ARROW_DAMAGED, "two columns of the same name")
        self.columns, self.unread = chosen(names, renamed)
        self.rows = 0

    def items(self) -> Items:
        decoded, number = 0, 0
        for batch in self._batches():
            self.rows += batch.num_rows
            decoded += batch.nbytes
            if decoded > self.cap:
                raise FileRefused(Code.DECODED_TOO_LARGE, f"more than {self.cap // 1_000_000} MB decoded")
            step = _step(batch)
            for start in range(0, batch.num_rows, step):
                part = _spelt_out(batch.slice(start, step))
                decoded += part.nbytes if step < STEP else 0
                if decoded > self.cap:
                    raise FileRefused(Code.DECODED_TOO_LARGE, f"more than {self.cap // 1_000_000} MB decoded")
                for record in records(part):
                    number += 1
                    yield item_of(number, record, self.limits)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            if self._is_file:
                for n in range(self._reader.num_record_batches):
                    yield self._checked(self._reader.get_batch(n))
            else:
                for batch in self._reader:
                    yield self._checked(batch)
        except (MemoryError, pa.ArrowMemoryError) as error:
            raise FileRefused(Code.DECODED_TOO_LARGE, "a batch that needs more memory than the limit") from error
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FileRefused(Code.ARROW_DAMAGED, str(error)[:160]) from error

    def _checked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        batch.validate(full=True)
        return batch.select(self.columns)


def _step(batch: pa.RecordBatch) -> int:
    """Rows at a time: few where a dictionary holds large values, for each row may repeat the largest of them."""
    largest = sum(_longest(c.dictionary) for c in batch.columns if pa.types.is_dictionary(c.type))
    return max(1, min(STEP, STEP_BYTES // max(1, largest)))


def _longest(values: pa.Array) -> int:
    """Bytes of the largest value, or of all of them where their lengths are not told apart."""
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    if any(is_kind(values.type) for is_kind in kinds):
        return pc.max(pc.binary_length(values)).as_py() or 1
    return int(values.nbytes)


def _spelt_out(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with the values of its dictionaries in their places, so that its size is that of its text."""
    columns = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _refuse_extensions(field: pa.Field) -> None:
    """Types that bring code of their own are not opened; whatever is nested is looked through as well."""
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType) or EXTENSION in (field.metadata or {}):
        raise FileRefused(Code.ARROW_EXTENSION, f"the column “{field.name[:80]}” is of an extension type")
    for n in range(kind.num_fields):
        _refuse_extensions(kind.field(n))
