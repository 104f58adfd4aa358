"""One run of a prompt as it is remembered: what it was, what it took, how it ended; and which records are believed."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

FORMAT = 1
"""Of a line; lines of another are passed over."""

LARGEST_BYTES = 2**46
"""64 TB: more than any machine has."""

LONGEST = 30 * 86400.0
"""Seconds: a month."""

KEPT_NODES = 8
"""Node kinds whose growth is kept with a run: the largest."""

KEPT_KINDS = 16
"""Node kinds whose pixels are kept with a run: those that load models, then the largest."""

NAMES = 64
"""Kinds and models kept of a family at most, each of `NAME_LENGTH` characters."""

NAME_LENGTH = 120

OK, MEMORY, PRESSED, DIED, FAILED = "ok", "memory", "pressed", "died", "failed"
OUTCOMES = (OK, MEMORY, PRESSED, DIED, FAILED)
"""Well; out of memory; interrupted by us because it filled the memory; the process died; another error or interrupt."""


class Run(NamedTuple):
    """What one run taught.

    Attributes:
        family: `Features.family`.
        sizes: `Features.sizes`.
        ram, vram: bytes at the peak above what was there without it; of VRAM, on the card where it took most.
        seconds: from leaving the queue to its end.
        cold: whether model files were loaded in it.
        share: of the pixels that its nodes make, those that were really made; the others came from the cache.
        outcome: one of `OUTCOMES`.
        lean: bytes of RAM at the peak, had all been dropped before each node that no later one needed; 0: not known.
        level: the highest level that memory reached in it, 0–3.
        expected: what had been expected of it as (ram, vram, seconds, low, high); empty where nothing was.
        nodes: bytes by which node kinds grew the process, the largest.
        pixels: of what node kinds handed on, the largest; 0 for those that load models.
        by_kinds: bytes of RAM that it should have taken by what its node kinds had been seen to take; 0: not known.
        sizes_chosen: number of items by id of the node that chose it.
        machine: `machine_id` of where it ran.
        time: seconds since the epoch.
        kinds, models: of the family.
    """

    family: str
    sizes: tuple[float, ...]
    ram: int
    vram: int
    seconds: float
    cold: bool = False
    share: float = 1.0
    outcome: str = OK
    level: int = 0
    lean: int = 0
    expected: tuple[float, ...] = ()
    nodes: Mapping[str, int] = MappingProxyType({})
    pixels: Mapping[str, float] = MappingProxyType({})
    by_kinds: int = 0
    sizes_chosen: Mapping[str, int] = MappingProxyType({})
    machine: str = ""
    time: float = 0.0
    kinds: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def weights(self) -> int:
        """Bytes by which it grew in the nodes that load models; 0 where it is not known which those are."""
        return sum(grew for kind, grew in self.nodes.items() if self.pixels.get(kind) == 0)

    def line(self) -> str:
        """As one line of JSON."""
        values = {"v": FORMAT, **self._asdict()}
        return json.dumps(values, separators=(",", ":"), default=dict)


def machine_id(gpus: Sequence[str] = (), total_ram: int | None = None) -> str:
    """Which machine this is, as far as memory and time go: a container keeps it from one start to the next."""
    if total_ram is None:
        total_ram = _total_ram()
    parts = [platform.system(), platform.machine(), os.cpu_count(), round(total_ram / 2**28), *gpus]
    return hashlib.blake2b(repr(parts).encode(), digest_size=6).hexdigest()


def _total_ram() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def parsed(line: str) -> Run | None:
    """The run of a line; None where it is not one, is cut off, or says what cannot be."""
    try:
        data = json.loads(line)
        if not isinstance(data, dict) or data.pop("v", None) != FORMAT:
            return None
        run = Run(
            family=_text(data["family"]),
            sizes=_numbers(data["sizes"], 3),
            ram=int(_number(data["ram"])),
            vram=int(_number(data["vram"])),
            seconds=_number(data["seconds"]),
            cold=data["cold"] is True,
            share=_number(data["share"]),
            outcome=str(data["outcome"]),
            level=int(_number(data["level"])),
            lean=int(_number(data.get("lean", 0))),
            expected=_numbers(data["expected"], 5) if data.get("expected") else (),
            nodes={_text(k): int(_number(v)) for k, v in list(data["nodes"].items())[:KEPT_NODES]},
            pixels={_text(k): _number(v) for k, v in list(data.get("pixels", {}).items())[:KEPT_KINDS]},
            by_kinds=int(_number(data.get("by_kinds", 0))),
            sizes_chosen={_text(k): int(_number(v)) for k, v in list(data["sizes_chosen"].items())[:KEPT_NODES]},
            machine=_text(data["machine"]),
            time=_number(data["time"]),
            kinds=tuple(_text(k) for k in data["kinds"][:NAMES]),
            models=tuple(_text(k) for k in data["models"][:NAMES]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return run if believable(run) else None


def believable(run: Run, most_ram: int = LARGEST_BYTES) -> bool:
    """Whether a run can have been: no more memory than the machine has, no time before it began, a known outcome."""
    return (
        bool(run.family)
        and 0 <= run.ram <= most_ram
        and 0 <= run.lean <= run.ram
        and 0 <= run.vram <= LARGEST_BYTES
        and 0 <= run.seconds <= LONGEST
        and 0 <= run.share <= 1
        and 0 <= run.level <= 3
        and run.outcome in OUTCOMES
        and all(0 <= size < 2**56 for size in (*run.sizes, *run.pixels.values()))
        and all(0 <= size <= LARGEST_BYTES for size in (run.by_kinds, *run.nodes.values()))
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("not a number")
    return value


def _numbers(values: Any, count: int) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError("not so many numbers")
    return tuple(_number(v) for v in values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value[:NAME_LENGTH]
