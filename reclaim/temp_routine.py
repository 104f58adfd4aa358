"""When the temp folder is cleaned by itself: at a warning, above its cap, and every ten minutes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ..monitor.readings import Level, Sample
from ..settings import Settings
from .action import Action, ActionLog, Step, human
from .guard import name_of
from .host import Place, TempHost
from .temp import Found, TempCleaner
from .temp_rung import PAUSE, ExpiredTemp

log = logging.getLogger(__name__)

EVERY = 600.0
"""Seconds between two looks while nothing is short."""


def on_a_thread(work: Callable[[], None]) -> None:
    """Run `work` on a daemon thread that ends with it."""
    threading.Thread(target=work, name="resource-gate-temp", daemon=True).start()


class TempRoutine:
    """A listener of samples. A sample only decides; a thread of its own looks and removes, outside the ladder's lock.

    In between the prompt worker lets go of cached previews that would show what is about to go, so that none is shown
    that is not there. The look of every ten minutes waits for a moment between two prompts; where something is short,
    one between two nodes will do, and then what the running prompt may show stays.

    Args:
        start: runs a function off the calling thread.
        wall: seconds since the epoch, for the log.
    """

    def __init__(
        self,
        cleaner: TempCleaner,
        host: TempHost,
        actions: ActionLog,
        settings: Callable[[], Settings],
        *,
        start: Callable[[Callable[[], None]], None] = on_a_thread,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._cleaner = cleaner
        self._host = host
        self._actions = actions
        self._settings = settings
        self._start = start
        self._clock = clock
        self._wall = wall
        self._next = clock() + EVERY
        self._busy = False
        self._patient = True
        self._told_dry: frozenset[str] = frozenset()
        self._failed = False

    def on_sample(self, sample: Sample) -> None:
        """Start a run where one is due. Cheap: no file is touched here."""
        settings = self._settings()
        if not settings.reclaim.enabled or not settings.reclaim.temp_clean:
            return
        urgent = self._short(sample, settings)
        if self._busy:
            self._patient = self._patient and urgent is None
            return
        now = self._clock()
        if now < self._cleaner.looked + PAUSE or (urgent is None and now < self._next):
            return
        level, why = urgent or (Level.NORMAL, f"temp folder, looked at every {EVERY / 60:.0f} minutes")
        self._next = now + EVERY
        self._busy, self._patient = True, urgent is None
        self._contain(lambda: self._start(lambda: self._contain(lambda: self._look(level, why))))

    def _short(self, sample: Sample, settings: Settings) -> tuple[Level, str] | None:
        """VRAM and CPU do not count: no temp file is in their way, and ComfyUI fills VRAM on purpose."""
        for resource, level in sample.levels.items():
            if level >= Level.WARNING and (resource == "ram" or resource.startswith("disk")):
                return level, f"{name_of(resource)} {level.label}"
        cap = settings.reclaim.temp_cap
        if cap and sample.temp is not None and sample.temp.bytes > cap:
            return Level.NORMAL, f"temp folder {human(sample.temp.bytes)}, its cap is {human(cap)}"
        return None

    def _look(self, level: Level, why: str) -> None:
        found = self._cleaner.find()
        if not found.files and not found.folders:
            self._busy = False
        elif self._settings().reclaim.dry_run:
            self._tell_dry(found, level, why)
            self._busy = False
        else:
            self._host.on_worker(lambda place: self._contain(lambda: self._at_boundary(found, level, why, place)))

    def _at_boundary(self, found: Found, level: Level, why: str, place: Place) -> None:
        if self._patient and place != Place.BETWEEN_PROMPTS:
            self._host.on_worker(lambda p: self._contain(lambda: self._at_boundary(found, level, why, p)))
            return
        may_go = self._host.release_files({f.path for f in found.files}, place)
        self._start(lambda: self._contain(lambda: self._remove(found, may_go, level, why)))

    def _remove(self, found: Found, may_go: set[str], level: Level, why: str) -> None:
        removed = self._cleaner.remove(found, may_go)
        self._busy = False
        if removed.more:
            self._next = self._clock() + PAUSE
        if removed.files or removed.folders:
            self._tell(Step(ExpiredTemp.name, removed.bytes, removed.seconds, removed.text), level, why, dry=False)

    def _tell_dry(self, found: Found, level: Level, why: str) -> None:
        """Once for the same files, or it would say so at every look."""
        paths = frozenset(f.path for f in found.files)
        root = self._host.temp_folder()
        if root is None or not paths or paths == self._told_dry:
            return
        self._told_dry = paths
        log.debug("temp files that would go: %s", [f.path for f in found.files])
        detail = f"removing {len(found.files)} old temp files ({human(found.bytes)}): {found.names(root)}"
        self._tell(Step(ExpiredTemp.name, found.bytes, 0.0, detail), level, why, dry=True)

    def _tell(self, step: Step, level: Level, why: str, *, dry: bool) -> None:
        action = Action(self._wall(), level, "disk_temp", why, Place.ANYWHERE, (step,), None, True, dry)
        log.info("%s", action.text)
        self._actions.add(action)

    def _contain(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._busy = False
            if not self._failed:
                self._failed = True
                log.warning("cleaning the temp folder failed (%s); it is tried again (told once)", error, exc_info=True)
