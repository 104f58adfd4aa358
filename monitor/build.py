"""Puts the real readers together."""

from __future__ import annotations

from pathlib import Path

from ..settings import Settings
from .aside import Aside
from .cpu import CpuReader
from .disk import DiskReader
from .gpu import TorchMemory
from .nvml import NvmlReader
from .pressure import pressure_reader
from .process import ProcessReader
from .ram import RamReader
from .readers import Readers
from .sampler import Sampler
from .temp import TempReader

TEMP_EVERY = 30.0
"""Least seconds between two walks through the temp folder."""
TEMP_SHARE = 0.0005
"""Share of one core for them: a folder of 100 000 files (0.3 s) is walked every 10 minutes."""
NO_GPU_EVERY = 60.0
"""Seconds until a machine without a GPU is asked again for one."""
NO_TORCH_EVERY = 10.0
"""Seconds until torch is asked again where it had no card: it may take one into use any time, and is cheap to ask."""
DISKS_EVERY = 1.0
"""Least seconds between two looks at the disks: they do not fill faster than that can show."""


def build_sampler(
    settings: Settings,
    *,
    temp: Path | None,
    output: Path | None,
    database: Path | None,
    torch_memory: TorchMemory | None = None,
) -> Sampler:
    """Build the sampler for this machine; nothing runs until its `start`.

    Args:
        settings: in force now.
        temp: the temp folder, None where there is none; likewise `output` and `database` (a folder or file).
        torch_memory: tells of the GPUs as torch sees them; called on a thread of its own.

    Raises:
        OSError, ValueError: the system does not tell of its memory at all.
    """
    places = {"output": output, "temp": temp, "database": database}
    known = {role: place for role, place in places.items() if place is not None}
    return Sampler(
        Readers(
            ram=RamReader(hand_limit=settings.monitor.ram_limit),
            process=ProcessReader(),
            cpu=CpuReader().read,
            pressure=pressure_reader().read,
            nvml=Aside("nvml", NvmlReader().read, empty_every=NO_GPU_EVERY, wait=0.05),
            torch=Aside("torch", torch_memory, empty_every=NO_TORCH_EVERY, wait=0.05) if torch_memory else None,
            disks=Aside("disks", DiskReader(known).read, every=DISKS_EVERY, wait=0.02) if known else None,
            temp=Aside("temp", TempReader(temp).read, every=TEMP_EVERY, share=TEMP_SHARE) if temp else None,
        ),
        settings,
    )
