"""Memory, now and at its peak: of the card, or of this process."""

import os
import resource
from pathlib import Path

CARD_LIMIT = "LUTHIER_ENGINE_CARD_BYTES"


def peak(device: str) -> int:
    """The most bytes that were in use: on a card what was allocated, else the process's resident memory."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def held(device: str) -> int:
    """The bytes that are in use now."""
    if device == "cuda":
        import torch

        return int(torch.cuda.memory_allocated())
    return _status("VmRSS")


def forget_peak(device: str) -> None:
    """Measure anew from here. Where the kernel cannot, the old peak goes on."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def card_limit() -> int:
    """The bytes of each card that a run may take, where the operator keeps the rest for something else; 0 is all."""
    said = os.environ.get(CARD_LIMIT, "")
    return int(said) if said.isdecimal() else 0


def capacity(device: str) -> int:
    """All the bytes there are for a run: the card's memory, or what this machine or our group may still take."""
    if device == "cuda":
        return min(_of_card(), card_limit() or _of_card())
    return min(filter(None, (_available() + _status("VmRSS"), _group_limit())), default=0)


def hold(device: str, limit: int) -> int:
    """Let this process have no more than `limit` bytes (0: no more than there are), and return the limit.

    On a CPU allocations beyond it fail as they do on a card, instead of the machine running out of memory: the
    address space may grow by what the resident memory may.
    """
    bound = limit or capacity(device)
    if device == "cuda":
        import torch

        if limit:
            torch.cuda.set_per_process_memory_fraction(min(1.0, limit / _of_card()))
        return bound
    if bound:
        room = max(0, bound - _status("VmRSS"))
        resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + room, resource.RLIM_INFINITY))
    return bound


def _of_card() -> int:
    import torch

    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


def _status(name: str) -> int:
    return _kilobytes(Path("/proc/self/status"), name)


def _available() -> int:
    return _kilobytes(Path("/proc/meminfo"), "MemAvailable")


def _kilobytes(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    line = next((line for line in lines if line.startswith(f"{name}:")), "")
    return int(line.split()[1]) * 1024 if line else 0


def _group_limit() -> int:
    """The control group's limit; 0 where there is none."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (Path("/sys/fs/cgroup") / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < 2**60:
            return int(text)
    return 0
