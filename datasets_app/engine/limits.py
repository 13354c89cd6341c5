"""What a reading child may use, and the same limits set on the process itself before it touches a file."""

import resource
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    line_bytes: int = 16 * MB
    document_bytes: int = 64 * MB  # a JSON object of columns has to be read as a whole
    depth: int = 64
    rows: int = 2_000_000
    bad_rows: int = 100_000
    decoded_bytes: int = 16 * 1024 * MB
    decoded_floor: int = 64 * MB  # below this no ratio is suspicious
    ratio: int = 100
    memory_bytes: int = 512 * MB
    cpu_seconds: int = 1800
    file_bytes: int = 16 * 1024 * MB

    def decoded_cap(self, size: int) -> int:
        """Bytes a file of this size may unpack to."""
        return min(self.decoded_bytes, max(self.decoded_floor, self.ratio * size))


def apply(limits: Limits) -> None:
    """Bind this process: no core dump, no endless CPU, no more memory or output than asked for.

    RLIMIT_DATA counts private memory, which is what a bomb fills; RLIMIT_AS is wider, because
    allocators and shared libraries reserve address space that they never touch.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_DATA, limits.memory_bytes)
    _lower(resource.RLIMIT_AS, limits.memory_bytes + 2048 * MB)
    _lower(resource.RLIMIT_CPU, limits.cpu_seconds)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)


def _lower(kind: int, wanted: int) -> None:
    """Set a limit, never above what the process was started with."""
    _, hard = resource.getrlimit(kind)
    bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (bound, bound))


def peak_mb() -> int:
    """The most memory held at once, by the kernel's high-water mark; rusage would count the parent's too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0
