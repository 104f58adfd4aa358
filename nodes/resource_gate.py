"""The node *Resource Gate*: frees and waits until the resources suffice, then lets its input through."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from ..monitor.readings import Level, MemoryReading, Sample
from ..reclaim.action import human
from ..reclaim.host import Place
from ..reclaim.ladder import Ladder, Shortage
from .spec import NodeContext, PassNode, Widget

log = logging.getLogger(__name__)

GIB = 1024**3

LOOK = 0.1
"""Seconds between two looks, and so at most between an interrupt and its effect."""

TELL = 1.0
"""Seconds between two texts on the node while it waits."""

FREE_AGAIN = 5.0
"""Seconds between two climbs of the ladder while it waits."""


class Readings(Protocol):
    """Where the node looks."""

    def ram(self) -> MemoryReading:
        """RAM, fresh."""
        ...

    def sample(self) -> Sample | None:
        """The last full sample."""
        ...


class ResourceGateClosed(RuntimeError):  # noqa: N818 - users read the name in ComfyUI's error box
    """The resources did not suffice within the time set on the node.

    Not named a time-out: those of other programs pass and are tried again, this one has waited as long as it was told.
    """


def describe(run: Callable[..., None]) -> PassNode:
    """The node as ComfyUI shows it; `run` is what it does."""
    return PassNode(
        "ResourceGate",
        "Resource Gate",
        "Waits, and frees memory, until RAM, VRAM and disk suffice; then passes its input through. "
        "Runs whenever something after it has to run, and makes nothing run again by itself.",
        (
            Widget("ram_percent", "int", 85, "Let the workflow go on below this share of RAM in use.", 1, 100),
            Widget(
                "vram_percent",
                "int",
                95,
                "The same for VRAM; what ComfyUI can free by itself does not count.",
                1,
                100,
            ),
            Widget("free_disk_gb", "float", 1.0, "Let the workflow go on with this much disk left.", 0, 10000, 0.5),
            Widget("wait_seconds", "int", 60, "How long to wait at most.", 0, 86400),
            Widget(
                "on_timeout",
                "choice",
                "continue",
                "Then: continue anyway, or fail with the reason.",
                choices=("continue", "fail"),
            ),
        ),
        run,
    )


class ResourceGateNode:
    """What the node does. One object serves all nodes of its kind; it keeps no state between runs."""

    def __init__(
        self,
        ladder: Ladder,
        readings: Readings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ladder = ladder
        self._readings = readings
        self._clock = clock
        self._sleep = sleep

    @property
    def spec(self) -> PassNode:
        """The node's description, bound to this object."""
        return describe(self.run)

    def run(
        self,
        context: NodeContext,
        *,
        ram_percent: int = 85,
        vram_percent: int = 95,
        free_disk_gb: float = 1.0,
        wait_seconds: int = 60,
        on_timeout: str = "continue",
    ) -> None:
        """Return once the resources suffice.

        Raises:
            ResourceGateClosed: they did not within `wait_seconds`, and `on_timeout` is `fail`.
        """
        context.run_again()
        began = self._clock()
        free_next = tell_next = began
        freed = 0
        while True:
            context.check_interrupt()
            short = list(self._short(ram_percent, vram_percent, free_disk_gb))
            waited = self._clock() - began
            if not short:
                if waited >= LOOK:
                    context.progress(wait_seconds, wait_seconds)
                context.show((f"open after {waited:.1f} s" if waited >= LOOK else "open") + _told(freed))
                return
            if self._clock() >= free_next:
                free_next = self._clock() + FREE_AGAIN
                for _, shortage in short:
                    if shortage is not None:
                        action = self._ladder.climb(shortage, Place.BETWEEN_NODES)
                        freed += 0 if action is None or action.dry_run else action.freed
                continue
            reasons = "; ".join(reason for reason, _ in short)
            if waited >= wait_seconds:
                self._time_out(context, reasons + _told(freed), wait_seconds, on_timeout)
                return
            if self._clock() >= tell_next:
                tell_next = self._clock() + TELL
                context.progress(waited, wait_seconds)
                context.show(f"waiting {waited:.0f} of {wait_seconds} s: {reasons}{_told(freed)}")
            self._sleep(min(LOOK, max(0.0, wait_seconds - waited)))

    def _time_out(self, context: NodeContext, reasons: str, wait_seconds: int, on_timeout: str) -> None:
        if on_timeout == "fail":
            raise ResourceGateClosed(
                f"Resource Gate (node {context.node_id}) waited {wait_seconds} s and still {reasons}. Nothing after "
                "it has run. Free memory or disk, raise the node's limits or its wait, or set on_timeout to "
                "'continue'."
            )
        log.warning("Resource Gate (node %s) goes on after %s s although %s", context.node_id, wait_seconds, reasons)
        context.show(f"went on after {wait_seconds} s: {reasons}")

    def _short(self, ram_percent: int, vram_percent: int, free_disk_gb: float) -> Iterator[tuple[str, Shortage | None]]:
        ram = self._readings.ram()
        if ram.fraction * 100 > ram_percent:
            reason = f"RAM is at {ram.fraction:.0%} of {human(ram.limit)} (limit {ram_percent} %)"
            goal = ram.used - int(ram.limit * ram_percent / 100)
            yield reason, Shortage("ram", Level.CRITICAL, f"Resource Gate node: {reason}", goal)
        sample = self._readings.sample()
        if sample is None:
            return
        for gpu in sample.gpus:
            used = max(0, gpu.used - (gpu.freeable or 0))
            if gpu.in_use and gpu.total and used / gpu.total * 100 > vram_percent:
                reason = f"VRAM {gpu.index} is at {used / gpu.total:.0%} of {human(gpu.total)} (limit {vram_percent} %)"
                goal = used - int(gpu.total * vram_percent / 100)
                yield reason, Shortage(f"vram{gpu.index}", Level.CRITICAL, f"Resource Gate node: {reason}", goal)
        for disk in sample.disks:
            if disk.free < free_disk_gb * GIB:
                reason = f"disk ({', '.join(disk.roles)}) has {human(disk.free)} left (limit {free_disk_gb:g} GB)"
                goal = int(free_disk_gb * GIB) - disk.free
                yield reason, Shortage(f"disk_{disk.roles[0]}", Level.WARNING, f"Resource Gate node: {reason}", goal)


def _told(freed: int) -> str:
    return f"; freed {human(freed)}" if freed else ""
