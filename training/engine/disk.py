"""Errors of a disk in whatever shape they come: from the system, from safetensors, from torch."""

import errno
import re
import shutil
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
OS_ERROR = re.compile(r"\(os error (\d+)\)")
# What torch's archive writer says when a write comes back short; it keeps the error number to itself.
TORCH = ("PytorchStreamWriter failed", "file write failed", "unexpected pos")
NEARLY_FULL = 16 * 1024 * 1024


def trouble(problem: BaseException, folder: Path) -> tuple[str, str] | None:
    """(code, message) when a save failed for the disk's sake; None when it failed for another reason."""
    found = number(problem, folder)
    if found is None:
        return None
    if found == errno.EFBIG:
        return "disk_full", "The checkpoint is larger than a file may be here; the last whole one is kept."
    if found in FULL:
        return "disk_full", "The disk is full; the last whole checkpoint is kept, and the next save is tried again."
    return "disk_error", f"The disk would not take the checkpoint ({problem}); the last whole one is kept."


def number(problem: BaseException, folder: Path | None = None) -> int | None:
    """The system's error number behind a failure, as far as it can be told; None when no disk is to blame."""
    if isinstance(problem, OSError):
        return problem.errno or errno.EIO
    if found := OS_ERROR.search(str(problem)):
        return int(found[1])
    if not any(words in str(problem) for words in TORCH):
        return None
    full = folder is None or shutil.disk_usage(folder).free < NEARLY_FULL
    return errno.ENOSPC if full else errno.EIO
