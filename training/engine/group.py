"""The processes of a run on several cards, as one of them sees the others. A run on one card is a group of one."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

HOST = "127.0.0.1"
# In which others may be busy with something of their own, as the first is while it saves. Beyond it they are lost.
PATIENCE = timedelta(minutes=20)


@dataclass
class Group:
    """One process of `size`, the one with number `rank`. Number 0 speaks, decides and writes for all."""

    rank: int = 0
    size: int = 1
    port: int = 0
    listener: int = -1  # file descriptor of the socket behind the port; only the first has it

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    def tell_libraries(self) -> None:
        """What accelerate reads to see that it is one of several; before any library asks."""
        if self.is_alone:
            return
        place = {"RANK": self.rank, "LOCAL_RANK": self.rank, "WORLD_SIZE": self.size, "LOCAL_WORLD_SIZE": self.size}
        os.environ |= {name: str(value) for name, value in place.items()}
        os.environ |= {"MASTER_ADDR": HOST, "MASTER_PORT": str(self.port)}
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # or each says at length what is wanted here
        # All are on one host: what they say to each other never leaves it.
        os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}

    def join(self, kind: str) -> None:
        """Meet the others. What is on cards goes from card to card, what is not goes by loopback."""
        if self.is_alone:
            return
        from torch import distributed

        first = {"master_listen_fd": self.listener} if self.is_first else {}
        store = distributed.TCPStore(
            HOST, self.port, self.size, self.is_first, timeout=PATIENCE, wait_for_workers=False, **first
        )
        backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=PATIENCE)

    def leave(self) -> None:
        """After the last step nobody needs the others any more."""
        if self.is_alone:
            return
        from torch import distributed

        distributed.destroy_process_group()

    def decide(self, *flags: bool) -> tuple[bool, ...]:
        """What the first says, for all; so that all stop, and save, at the same step."""
        if self.is_alone:
            return flags
        import torch

        said = torch.tensor(flags, dtype=torch.uint8)
        torch.distributed.broadcast(said, 0)
        return tuple(bool(flag) for flag in said)

    def total(self, values: Any) -> Any:
        """The sum over all of a tensor that is not on a card."""
        if not self.is_alone:
            import torch

            torch.distributed.all_reduce(values)
        return values

    def most(self, value: int) -> int:
        """The largest that any of them has."""
        if self.is_alone:
            return value
        import torch

        largest = torch.tensor(value)
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
        return int(largest)

    def least(self, value: int) -> int:
        return -self.most(-value)

    def collect(self, value: Any) -> list[Any]:
        """What each has, in order, for the first; nothing for the others."""
        if self.is_alone:
            return [value]
        import torch

        found: list[Any] | None = [None] * self.size if self.is_first else None
        torch.distributed.gather_object(value, found, 0)
        return found or []


ALONE = Group()
