"""What the extension is built on: the protocols of reclaim and gate together, and where things lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..gate.host import QueueHost
from ..monitor.peak import DevicePeaks
from ..monitor.readings import GpuReading
from ..reclaim.host import MemoryHost


class Host(MemoryHost, QueueHost, Protocol):
    """A program that runs prompts: ComfyUI, or the embedded one."""

    @property
    def routes(self) -> Any:
        """An aiohttp route table to add to, before the server starts."""
        ...

    @property
    def output_folder(self) -> Path:
        """Where results are written."""
        ...

    @property
    def data_folder(self) -> Path:
        """Where settings and journal lie."""
        ...

    def model_bytes(self, name: str) -> int:
        """Size of a model file by its name in a graph; 0 where there is none of that name."""
        ...

    def gpu_memory(self) -> list[GpuReading]:
        """Device memory as the program itself sees it."""
        ...

    def device_peaks(self) -> DevicePeaks | None:
        """Counters of the highest device memory; None where there are none."""
        ...

    def hooks(self) -> Mapping[str, str]:
        """What of the program is hooked: name → whether ours is in force now."""
        ...
