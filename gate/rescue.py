"""The last step before the kernel's: interrupt a prompt that fills memory too fast, and queue it again first."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from ..monitor.readings import Level, MemoryReading, Sample
from ..reclaim.action import Action, ActionLog, Step, human
from ..reclaim.host import Place
from ..settings import Settings
from .host import QueueHost

log = logging.getLogger(__name__)

HORIZON = 2.0
"""Seconds until the limit, at the present rate, below which waiting for a node's end is hopeless."""

REMEMBERED = 1000
"""Prompts that were interrupted once and are not a second time."""


class Rescue:
    """A listener of samples, before the guard: at this level there is no time for a collection first.

    The guard has collected and trimmed when the lower levels were entered; a rise that leaves no time for those is
    too fast for another try, too.

    Args:
        read: RAM, fresh.
        again: told the id, so that admission clears the memory before the prompt's second start.
    """

    def __init__(
        self,
        host: QueueHost,
        read: Callable[[], MemoryReading],
        settings: Callable[[], Settings],
        actions: ActionLog,
        again: Callable[[str], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._read = read
        self._settings = settings
        self._actions = actions
        self._again = again
        self._wall = wall
        self._done: OrderedDict[str, None] = OrderedDict()

    def on_sample(self, sample: Sample) -> None:
        """Decide. On the sampler's thread."""
        settings = self._settings()
        if sample.levels.get("ram") != Level.EMERGENCY or not settings.reclaim.interrupt or settings.reclaim.dry_run:
            return
        ram, rate = self._read(), sample.fill_rate
        if rate <= 0 or ram.free > rate * HORIZON or ram.fraction < settings.ram.emergency:
            return
        for job_id in self._host.view().running:
            if job_id not in self._done:
                self._interrupt(job_id, ram, rate)

    def _interrupt(self, job_id: str, ram: MemoryReading, rate: float) -> None:
        self._again(job_id)
        if not self._host.requeue(job_id):
            return
        self._done[job_id] = None
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        why = (
            f"RAM {ram.fraction:.0%} of {human(ram.limit)} (emergency), filling at {human(rate)}/s, "
            f"full in {ram.free / rate:.1f} s"
        )
        step = Step("interrupt", 0, 0.0, f"interrupted prompt {job_id} and put it back first in line, once")
        action = Action(self._wall(), Level.EMERGENCY, "ram", why, Place.ANYWHERE, (step,), None, True)
        log.warning("%s", action.text)
        self._actions.add(action)
