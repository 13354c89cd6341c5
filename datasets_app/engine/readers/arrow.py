"""Arrow IPC, file or stream: mapped, not loaded; every batch is checked to the last offset before it is looked at."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from datasets_app.domain.codes import Code
from datasets_app.engine.limits import Limits
from datasets_app.engine.readers.base import Items
from datasets_app.engine.readers.parquet import chosen, item_of, records
from datasets_app.engine.refusal import FileRefused

STEP = 256
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
        except (MemoryError, pa.ArrowMemoryError) as error:
            raise FileRefused(Code.DECODED_TOO_LARGE, "a schema that needs more memory than the limit") from error
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FileRefused(Code.ARROW_DAMAGED, str(error)[:160]) from error
        for field in schema:
            _refuse_extensions(field)
        names = list(schema.names)
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
            for start in range(0, batch.num_rows, STEP):
                for record in records(batch.slice(start, STEP)):
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


def _refuse_extensions(field: pa.Field) -> None:
    """Types that bring code of their own are not opened; whatever is nested is looked through as well."""
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType) or EXTENSION in (field.metadata or {}):
        raise FileRefused(Code.ARROW_EXTENSION, f"the column “{field.name[:80]}” is of an extension type")
    for n in range(kind.num_fields):
        _refuse_extensions(kind.field(n))
