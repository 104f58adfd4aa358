"""Admission: whether the waiting prompt may start; if memory is short, free it first, then wait, then the policy."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from ..monitor.level import entry_of, level_of
from ..monitor.readings import Level, MemoryReading
from ..reclaim.action import Cause, human
from ..reclaim.guard import shortage_of
from ..reclaim.host import Place
from ..reclaim.ladder import Ladder, Shortage
from ..settings import Settings
from .host import Job, Verdict
from .room import (
    Forecast,
    NoForecast,
    beyond_the_heap,
    cannot_fit,
    fits,
    hopeless,
    known_need,
    lacking,
    may_run_short,
    shortage_for,
)

if TYPE_CHECKING:
    from .prediction.predict import Need

log = logging.getLogger(__name__)

SETTLED = 0.01
"""Share of the limit: memory that fell by less than this since the last look has stopped falling."""

LOOK = 0.5
"""Seconds between two looks while a prompt waits …"""

SHORT_LOOK = 0.1
"""… and where the thresholds would let it start, and only its need does not fit: does memory still fall?"""


class GateState(NamedTuple):
    """What the panel shows: `open`, `waiting` or `paused`; times in seconds since the epoch."""

    state: str = "open"
    reason: str = ""
    since: float | None = None
    until: float | None = None
    job: str | None = None
    cause: Cause | None = None
    """`reason` in parts, for who says it in another language."""


OPEN = GateState()

REMEMBERED_WARNINGS = 100
"""Prompts that a warning was given for; the oldest are forgotten."""


GO = Verdict(True)


class _Wait:
    def __init__(self, job: str, since: float, last_used: int, last_look: float) -> None:
        self.job = job
        self.since = since
        self.last_used = last_used
        self.last_look = last_look


class Admission:
    """Asked on the worker thread before a prompt leaves the queue; never blocks, it says when to ask again.

    Args:
        read: the tightest RAM limit and what is used of it, fresh.
        forecast: what prompts will need; None to go by the thresholds alone.
        changed: called with each new state.
        glance: as `read`, or as it was a moment ago where memory cannot be short with so many bytes more by now.
        roomy: whether it surely is not short with so many bytes more; reads nothing.
        free_in_heap: bytes of this process that lie free inside its heap.
    """

    def __init__(
        self,
        ladder: Ladder,
        read: Callable[[], MemoryReading],
        settings: Callable[[], Settings],
        *,
        forecast: Forecast | None = None,
        changed: Callable[[GateState], None] = lambda state: None,
        glance: Callable[[int], MemoryReading] | None = None,
        roomy: Callable[[int], bool] = lambda ahead: False,
        free_in_heap: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ladder = ladder
        self._read = read
        self._glance = glance or (lambda ahead: read())
        self._roomy = roomy
        self._free_in_heap = free_in_heap
        self._settings = settings
        self._forecast = forecast or NoForecast()
        self._warned: deque[str] = deque(maxlen=REMEMBERED_WARNINGS)
        self._changed = changed
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._paused_since: float | None = None
        self._wait: _Wait | None = None
        self._state = OPEN
        self._clear_before: set[str] = set()

    @property
    def state(self) -> GateState:
        """As it is now. Any thread."""
        return self._state

    def pause(self) -> None:
        """Let no further prompt start; the running one goes on. Any thread."""
        with self._lock:
            if self._paused_since is None:
                self._paused_since = self._wall()
        self._show(GateState())

    def resume(self) -> None:
        """Undo `pause`. Any thread; the caller wakes the worker."""
        with self._lock:
            self._paused_since = None
        self._show(GateState())

    def clear_before(self, job_id: str) -> None:
        """Free all that can be freed before this job's next start. Any thread."""
        with self._lock:
            self._clear_before.add(job_id)

    def may_start(self, job: Job) -> Verdict:
        """Decide. With enough headroom this costs one reading."""
        if self._paused_since is not None:
            self._wait = None
            self._show(GateState(job=job.id))
            return Verdict(False, "paused", LOOK)
        settings = self._settings()
        if not settings.gate.enabled:
            return self._start()
        if job.id in self._clear_before:
            self._clear(job)
        if self._wait is not None and self._wait.job != job.id:
            self._wait = None
        need = known_need(self._forecast, job)
        ahead = 0 if need is None else need.ram
        if self._wait is None and self._roomy(ahead):
            return self._start()
        reading = self._read() if self._wait is not None else self._glance(ahead)
        if self._fits(reading, settings, need):
            return self._start()
        if need is not None and need.small:
            need = beyond_the_heap(need, self._free_in_heap())
            if self._fits(reading, settings, need):
                return self._start()
        if self._wait is None:
            reading = self._free(job, reading, settings, need)
            end = self._too_large(job, reading, settings, need)
            if end is not None:
                return end
            if self._fits(reading, settings, need, freed=True):
                return self._start()
            now = self._clock()
            self._wait = _Wait(job.id, now, reading.used, now)
            return self._hold(job, reading, settings)
        return self._wait_on(job, self._wait, reading, settings, need)

    def hold(self, job: Job, reason: str, since: float, until: float, cause: Cause | None = None) -> Verdict:
        """Do not start this prompt before `until` (seconds since the epoch), and show why."""
        self._wait = None
        self._show(GateState("waiting", reason, since, until, job.id, cause))
        return Verdict(False, reason, LOOK)

    def free_all(self, why: str, devices: Iterable[int]) -> int:
        """Free all that can be freed now, between prompts; tells how many bytes that was. On the worker thread."""
        settings = self._settings()
        if not settings.reclaim.enabled or settings.reclaim.dry_run:
            return 0
        freed = 0
        for resource in (*(f"vram{device}" for device in devices), "ram"):
            action = self._ladder.climb(Shortage(resource, Level.EMERGENCY, why), Place.BETWEEN_PROMPTS)
            freed += 0 if action is None else max(0, action.freed)
        return freed

    def nothing_waits(self) -> None:
        """No prompt is held any more; on the worker thread."""
        if self._state.job is not None:
            self._wait = None
            self._show(GateState())

    def _wait_on(self, job: Job, wait: _Wait, reading: MemoryReading, settings: Settings, need: Need | None) -> Verdict:
        now = self._clock()
        if self._fits(reading, settings, need, freed=True) and need is not None:
            return self._start()
        level = level_of(reading.used, reading.limit, settings.ram)
        settled = False
        if now - wait.last_look >= 2 * self._look(level):
            settled = wait.last_used - reading.used < SETTLED * reading.limit
            wait.last_used, wait.last_look = reading.used, now
        # Below critical, memory that no longer falls will not fall by waiting; above, a start would be its end.
        if may_run_short(reading, settings.gate, need) and (
            now - wait.since >= settings.gate.wait or (settled and level < Level.CRITICAL)
        ):
            log.info(
                "prompt %s starts with RAM at %.0f %% after %.1f s: %s",
                job.id,
                reading.fraction * 100,
                now - wait.since,
                "nothing more came free" if settled else "the wait is over (gate.wait)",
            )
            return self._start()
        return self._hold(job, reading, settings)

    def _look(self, level: Level) -> float:
        return SHORT_LOOK if level == Level.NORMAL else LOOK

    def _clear(self, job: Job) -> None:
        with self._lock:
            self._clear_before.discard(job.id)
        why = f"before prompt {job.id} starts again"
        self._ladder.climb(Shortage("ram", Level.EMERGENCY, why), Place.BETWEEN_PROMPTS)

    def _free(self, job: Job, reading: MemoryReading, settings: Settings, need: Need | None) -> MemoryReading:
        """Free what the prompt lacks; where that is not borne out, what the thresholds ask for if that is more."""
        if not settings.reclaim.enabled:
            return reading
        level = max(Level.WARNING, level_of(reading.used, reading.limit, settings.ram))
        shortage = shortage_of("ram", reading.used, reading.limit, level, settings.ram)
        lacks = None if need is None else shortage_for(job, reading, settings.ram, need)
        if need is not None and lacks is not None and (need.confirmed or (lacks.goal or 0) > (shortage.goal or 0)):
            shortage = lacks
        self._ladder.climb(shortage, Place.BETWEEN_PROMPTS)
        return self._read()

    def _fits(self, reading: MemoryReading, settings: Settings, need: Need | None, *, freed: bool = False) -> bool:
        if freed and settings.gate.too_large == "hold" and cannot_fit(reading, need):
            return False
        return fits(reading, settings.ram, need, waited=self._wait is not None, freed=freed)

    def _too_large(self, job: Job, reading: MemoryReading, settings: Settings, need: Need | None) -> Verdict | None:
        """What becomes of a prompt that by all that is known cannot fit; None where it waits like any other."""
        text = hopeless(self._forecast, job, reading, settings.ram, need)
        if text is None or settings.gate.too_large == "hold":
            return None
        if settings.gate.too_large == "refuse":
            self._wait = None
            self._show(GateState())
            return Verdict(
                False, f"{text}. It was not run; gate.too_large at 'run' lets such prompts run", refused=True
            )
        if job.id not in self._warned:
            self._warned.append(job.id)
            log.warning("prompt %s %s; it starts all the same (gate.too_large)", job.id, text)
        return self._start()

    def _start(self) -> Verdict:
        self._wait = None
        if self._state is not OPEN or self._paused_since is not None:
            self._show(OPEN)
        return GO

    def _hold(self, job: Job, reading: MemoryReading, settings: Settings) -> Verdict:
        assert self._wait is not None
        waited = self._clock() - self._wait.since
        since = self._wall() - waited
        until = since + settings.gate.wait if settings.gate.on_timeout == "run" else None
        need = known_need(self._forecast, job)
        reason = f"RAM {reading.fraction:.0%} of {human(reading.limit)}; "
        cause: dict[str, str | float] = {"fraction": reading.fraction, "limit": reading.limit}
        if need is not None and lacking(reading, settings.ram, need, Level.EMERGENCY):
            reason += f"it needs about {human(need.ram)}"
            cause |= {"code": "needs", "need": need.ram}
        else:
            below = settings.ram.warning - settings.ram.leave
            reason += f"it starts below {below:.0%}"
            cause |= {"code": "starts", "below": below}
        self._show(GateState("waiting", reason, since, until, job.id, cause))
        other = ""
        if settings.gate.fit_first:
            room = entry_of(Level.CRITICAL, reading.limit, settings.ram) - reading.used
            other = self._forecast.fitting_prompt(job, room)
        return Verdict(False, reason, self._look(level_of(reading.used, reading.limit, settings.ram)), other)

    def _show(self, state: GateState) -> None:
        with self._lock:
            # A decision of the worker may come in just after a pause: what shows then is the pause.
            if self._paused_since is not None:
                state = GateState("paused", "paused by hand", self._paused_since, None, state.job)
            previous, self._state = self._state, state
        if (previous.state, previous.job) != (state.state, state.job):
            try:
                self._changed(state)
            except Exception:  # the boundary to who watches: what is decided holds, though nobody hears of it
                log.debug("nobody could be told of the gate's state", exc_info=True)
