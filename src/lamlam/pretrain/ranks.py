"""The processes of a run that `torchrun` starts: which of them this one is, and how many there are."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch.distributed as dist

__all__ = ["Ranks"]

_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's number, from 0, and the number of processes. The first one writes the run's files."""

    rank: int = 0
    world: int = 1

    @classmethod
    def from_environment(cls) -> "Ranks":
        """As `torchrun` says in RANK and WORLD_SIZE; a process that it did not start is alone."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        return cls(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Wait until another process has made what `ready` looks for.

        By looking at the files and not at a barrier, whose time-out would end a run that prepares for an hour. Where
        the first process fails, torchrun ends the waiting ones.
        """
        while not ready():
            time.sleep(_POLL_SECONDS)

    def leave(self) -> None:
        """Part from the other processes, if there are any, at the end of a command."""
        if self.world > 1 and dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()
