"""What the ladder needs of the program it runs in. `host/` implements it; tests fake it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Place(IntEnum):
    """Where the ladder stands, and so what it may touch; a rung may run at its own place or a later one."""

    ANYWHERE = 0
    """On any thread, beside a running node: nothing of the program's own may be touched."""
    BETWEEN_NODES = 1
    """On the worker thread, with a prompt half done."""
    BETWEEN_PROMPTS = 2
    """On the worker thread, with no prompt running."""


class Use(Enum):
    """Who will still want a cached output, as far as can be known."""

    EARLIER = "earlier"
    """Left by a prompt before this one; neither the running nor the waiting prompt uses it."""
    REUSABLE = "reusable"
    """Left by a prompt before this one; the waiting prompt would take it from the cache."""
    DONE = "done"
    """Made or used by the running prompt; no node still to run needs it."""
    NEEDED = "needed"
    """A node still to run takes it as an input."""


class CachedOutput(NamedTuple):
    """One entry of the program's output cache."""

    key: Any
    """What the host finds it by again; opaque to everybody else."""
    node: str
    """Node id and class, for the log: `12 ImageScale`."""
    use: Use
    ram: int
    """Bytes in RAM that go when this entry goes, storages shared with entries that stay left out."""
    vram: int = 0
    models: int = 0
    """Bytes of model weights among them; such an entry costs a reload."""
    group: int = 0
    """Entries with one group number share storage: their bytes go only when all of them go."""


class LoadedModel(NamedTuple):
    """A model that lies on a device."""

    key: Any
    name: str
    vram: int
    needed: bool
    """Whether the running or the waiting prompt uses it, as far as can be known."""
    moves: bool = True
    """Whether its weights move into RAM when it leaves the device; under dynamic VRAM their file holds them already."""


class TempHost(Protocol):
    """The program's temp folder, for what cleans it. Any thread, unless a method says otherwise."""

    def temp_folder(self) -> Path | None:
        """The folder that temp cleaning may clean; None where there is none."""
        ...

    def kept_folders(self) -> Sequence[Path]:
        """Input, output and the like: a temp folder that is one of them, or lies around or in one, is not cleaned."""
        ...

    def referenced_files(self) -> set[Path]:
        """Files in the temp folder that history, queue or the running prompt name; some may not be there."""
        ...

    def running_since(self) -> float | None:
        """A moment not after the start of the running prompt, in seconds since the epoch; None where none runs."""
        ...

    def release_files(self, paths: Set[str], place: Place) -> set[str]:
        """Which of these temp files may go. On the worker thread.

        Files that a cached output leads to stay. Between prompts, cached outputs that hold nothing but the sight of
        such a file are let go of, so that the node that made it makes it anew; between nodes the running prompt may
        show them, and they stay, too.
        """
        ...

    def on_worker(self, work: Callable[[Place], None]) -> None:
        """Call `work` on the worker thread at the next boundary; at once where it idles."""
        ...


class MemoryHost(TempHost, Protocol):
    """The program's memory, for the ladder. On the worker thread only, unless a method says otherwise."""

    def outputs(self) -> Sequence[CachedOutput]:
        """List the cached outputs as they stand now."""
        ...

    def drop_outputs(self, outputs: Iterable[CachedOutput]) -> None:
        """Let go of these entries."""
        ...

    def models(self) -> Sequence[LoadedModel]:
        """List the models on devices, largest first."""
        ...

    def unload_models(self, models: Iterable[LoadedModel]) -> None:
        """Take these models off their devices, and no other."""
        ...

    def device_slack(self) -> int:
        """Bytes that the device allocator holds and nobody uses, over all devices."""
        ...

    def pinned_slack(self) -> int:
        """Bytes of page-locked RAM that the pinned host allocator holds and nobody uses."""
        ...

    def empty_pinned_cache(self) -> None:
        """Return them to the system."""
        ...

    def pinned_weights(self) -> int:
        """Bytes of page-locked RAM that hold copies of model weights, which could be read again from their file."""
        ...

    def free_pins(self, goal: int) -> int:
        """Unpin at least `goal` bytes of them, those of idle models first; tells how many."""
        ...

    def empty_device_cache(self) -> None:
        """Return unused blocks of the device allocator (`torch.cuda.empty_cache` and its likes)."""
        ...
