"""What a reading child may use, and the same limits set on the process itself before it touches a file."""

import ctypes
import resource
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The small bounds hold for every file; honest rows earn their child more, up to the large ones."""

    line_bytes: int = 16 * MB
    document_bytes: int = 64 * MB  # a JSON object of columns has to be read as a whole
    depth: int = 64
    rows: int = 5_000_000
    bad_rows_kept: int = 200_000  # told in detail; beyond it bad rows are counted by code
    decoded_bytes: int = 64 * 1024 * MB
    decoded_floor: int = 64 * MB  # below this no ratio is suspicious
    ratio: int = 100
    members: int = 1000  # of an archive
    memory_bytes: int = 512 * MB
    most_memory_bytes: int = 1536 * MB
    cpu_seconds: int = 10
    most_cpu_seconds: int = 3600
    file_bytes: int = 64 * 1024 * MB

    def decoded_cap(self, size: int) -> int:
        """Bytes a file of this size may unpack to."""
        return min(self.decoded_bytes, max(self.decoded_floor, self.ratio * size))


# What a byte of text in good rows earns: twenty times what a row needs, and an index of half the text.
SECONDS_PER_BYTE = 20 / (10 * MB)
MEMORY_PER_BYTE = 4
# What is kept of a row however short it is: hashes, signatures, words. A million rows of a few words need 700 MB.
MEMORY_PER_ROW = 384


# M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX of malloc.h.
MALLOC = {-3: 32 * MB, -1: 64 * MB, -8: 4}


class _Account:
    """The limits of this process, and what its honest rows have earned so far."""

    limits = Limits()
    earned = 0
    rows = 0
    longest = 0
    applied = False


def apply(limits: Limits) -> None:
    """Bind this process: no core dump, no endless CPU, no more memory or output than asked for.

    RLIMIT_DATA counts private memory, which is what a bomb fills; RLIMIT_AS is wider, because
    allocators and shared libraries reserve address space that they never touch.
    """
    _Account.limits, _Account.earned, _Account.rows, _Account.applied = limits, 0, 0, True
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_DATA, limits.memory_bytes, limits.most_memory_bytes)
    _lower(resource.RLIMIT_AS, limits.most_memory_bytes + 4096 * MB, limits.most_memory_bytes + 4096 * MB)
    _lower(resource.RLIMIT_CPU, limits.cpu_seconds, limits.most_cpu_seconds)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes)
    _keep_freed()


def _keep_freed() -> None:
    """Batches come and go by the megabyte: handing each back to the kernel costs more than filling it again."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
    if mallopt is not None:
        for name, value in MALLOC.items():
            mallopt(name, value)


def earn(size: int, rows: int = 0) -> None:
    """So many good rows with `size` bytes of text have been read: an honest file may use more when it is large."""
    limits = _Account.limits
    _Account.earned += size
    _Account.rows += rows
    if _Account.applied:
        memory = limits.memory_bytes + MEMORY_PER_BYTE * _Account.earned + MEMORY_PER_ROW * _Account.rows
        _lower(resource.RLIMIT_DATA, min(memory, limits.most_memory_bytes), limits.most_memory_bytes)
        earn_time(_Account.earned)


def earn_time(size: int) -> None:
    """A file of `size` bytes as it was uploaded, or that much good text, may take as long as that much work takes."""
    limits = _Account.limits
    _Account.longest = max(_Account.longest, limits.cpu_seconds + int(SECONDS_PER_BYTE * size))
    if _Account.applied:
        _lower(resource.RLIMIT_CPU, min(_Account.longest, limits.most_cpu_seconds), limits.most_cpu_seconds)


def _lower(kind: int, wanted: int, most: int) -> None:
    """Set a limit that may grow to `most`, never above what the process was started with."""
    _, hard = resource.getrlimit(kind)
    ceiling = max(wanted, most)
    ceiling = ceiling if hard == resource.RLIM_INFINITY else min(ceiling, hard)
    resource.setrlimit(kind, (min(wanted, ceiling), ceiling))


def peak_mb() -> int:
    """The most memory held at once, by the kernel's high-water mark; rusage would count the parent's too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0
