"""A directory as one file to download."""

import tempfile
import zipfile
from pathlib import Path
from typing import IO

IN_MEMORY = 8 * 1024 * 1024


def zipped(folder: Path, name: str) -> IO[bytes]:
    """All files of a folder under one directory; stored as they are, since weights do not shrink."""
    out: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the response closes it
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"{name}/{path.name}")
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return out
