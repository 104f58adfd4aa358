"""Admission: whether the waiting prompt may start; if memory is short, free it first, then wait, then the policy."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from ..monitor.level import entry_of, level_of
from ..monitor.readings import Level, MemoryReading
from ..reclaim.action import human
from ..reclaim.guard import shortage_of
from ..reclaim.host import Place
from ..reclaim.ladder import Ladder, Shortage
from ..settings import Settings
from .host import Job, Verdict
from .predict import Need

log = logging.getLogger(__name__)

SETTLED = 0.01
"""Share of the limit: memory that fell by less than this since the last look has stopped falling."""

LOOK = 0.5
"""Seconds between two looks while a prompt waits."""


@dataclass(frozen=True)
class GateState:
    """What the panel shows: `open`, `waiting` or `paused`; times in seconds since the epoch."""

    state: str = "open"
    reason: str = ""
    since: float | None = None
    until: float | None = None
    job: str | None = None


class Forecast(Protocol):
    """What admission asks of the prediction."""

    def need(self, job: Job) -> Need | None:
        """What the prompt will need; None where nothing is predicted."""
        ...

    def fitting_frames(self, job: Job, room: float) -> int | None:
        """The most frames with which it would need no more than so many bytes."""
        ...


REMEMBERED_WARNINGS = 100
"""Prompts that a warning was given for; the oldest are forgotten."""


@dataclass
class _Wait:
    job: str
    since: float
    last_used: int
    last_look: float


class Admission:
    """Asked on the worker thread before a prompt leaves the queue; never blocks, it says when to ask again.

    Args:
        read: the tightest RAM limit and what is used of it, fresh.
        forecast: what prompts will need; None to go by the thresholds alone.
        changed: called with each new state.
    """

    def __init__(
        self,
        ladder: Ladder,
        read: Callable[[], MemoryReading],
        settings: Callable[[], Settings],
        *,
        forecast: Forecast | None = None,
        changed: Callable[[GateState], None] = lambda state: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ladder = ladder
        self._read = read
        self._settings = settings
        self._forecast = forecast
        self._warned: deque[str] = deque(maxlen=REMEMBERED_WARNINGS)
        self._changed = changed
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._paused_since: float | None = None
        self._wait: _Wait | None = None
        self._state = GateState()
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
        reading = self._read()
        if self._wait is not None and self._wait.job != job.id:
            self._wait = None
        need = self._known_need(job)
        if self._fits(reading, settings, need):
            return self._start()
        if self._wait is None:
            reading = self._free(job, reading, settings, need)
            if self._fits(reading, settings, need, freed=True):
                return self._start()
            hopeless = self._hopeless(job, reading, settings, need)
            if hopeless is not None:
                return hopeless
            now = self._clock()
            self._wait = _Wait(job.id, now, reading.used, now)
            return self._hold(job, reading, settings)
        return self._wait_on(job, self._wait, reading, settings, need)

    def hold(self, job: Job, reason: str, since: float, until: float) -> Verdict:
        """Do not start this prompt before `until` (seconds since the epoch), and show why."""
        self._wait = None
        self._show(GateState("waiting", reason, since, until, job.id))
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

    def _wait_on(
        self, job: Job, wait: _Wait, reading: MemoryReading, settings: Settings, need: Need | None
    ) -> Verdict:
        now = self._clock()
        if self._fits(reading, settings, need, freed=True) and need is not None:
            return self._start()
        level = level_of(reading.used, reading.limit, settings.ram)
        settled = False
        if now - wait.last_look >= 2 * LOOK:
            settled = wait.last_used - reading.used < SETTLED * reading.limit
            wait.last_used, wait.last_look = reading.used, now
        # Below critical, memory that no longer falls will not fall by waiting; above, a start would be its end.
        if self._may_run_short(job, reading, settings, need) and (
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

    def _may_run_short(self, job: Job, reading: MemoryReading, settings: Settings, need: Need | None) -> bool:
        """Whether the prompt may start at the end of its wait though memory is short."""
        if settings.gate.too_large == "hold" and need is not None and need.confirmed:
            return reading.used + need.ram_low <= reading.limit and settings.gate.on_timeout == "run"
        return settings.gate.on_timeout == "run"

    def _clear(self, job: Job) -> None:
        with self._lock:
            self._clear_before.discard(job.id)
        why = f"before prompt {job.id} starts again"
        self._ladder.climb(Shortage("ram", Level.EMERGENCY, why), Place.BETWEEN_PROMPTS)

    def _known_need(self, job: Job) -> Need | None:
        """What runs of the same family needed; None where nothing is known of them."""
        need = None if self._forecast is None else self._forecast.need(job)
        return need if need is not None and need.known else None

    def _free(self, job: Job, reading: MemoryReading, settings: Settings, need: Need | None) -> MemoryReading:
        """Free what the thresholds ask for, or what the prompt will need beyond the room there is; the larger."""
        if not settings.reclaim.enabled:
            return reading
        now = level_of(reading.used, reading.limit, settings.ram)
        if need is not None and (lacks := self._lacks(reading, settings, need)) > 0:
            # Above critical, models go that this very prompt may load again: that is the brake's to decide.
            level = max(now, Level.CRITICAL)
            why = (
                f"prompt {job.id} needs about {human(need.ram)} and RAM is at {reading.fraction:.0%}"
                f" of {human(reading.limit)}"
            )
            shortage = Shortage("ram", level, why, lacks)
        else:
            level = max(Level.WARNING, now)
            shortage = shortage_of("ram", reading.used, reading.limit, level, settings.ram)
        self._ladder.climb(shortage, Place.BETWEEN_PROMPTS)
        return self._read()

    def _lacks(self, reading: MemoryReading, settings: Settings, need: Need, tier: Level = Level.CRITICAL) -> int:
        """Bytes by which the need goes over a tier; 0 or less where it stays below."""
        return int(reading.used + need.ram - entry_of(tier, reading.limit, settings.ram)) + 1

    def _fits(self, reading: MemoryReading, settings: Settings, need: Need | None, *, freed: bool = False) -> bool:
        """Whether the prompt may start with what there is.

        A need that runs of this process have borne out decides alone; else the thresholds must hold, too. Once all was
        freed that can be, the need may go up to the emergency level: waiting would not change it.
        """
        if reading.limit <= 0:
            return True
        if need is not None:
            tier = Level.EMERGENCY if freed else Level.CRITICAL
            if self._lacks(reading, settings, need, tier) > 0:
                return False
            if need.confirmed:
                return True
        tiers = settings.ram
        used = reading.used + (tiers.leave * reading.limit if self._wait is not None else 0)
        return level_of(int(used), reading.limit, tiers) == Level.NORMAL

    def _hopeless(self, job: Job, reading: MemoryReading, settings: Settings, need: Need | None) -> Verdict | None:
        """What becomes of a prompt that by all that is known cannot fit; None where it may."""
        if need is None or self._forecast is None or not need.confirmed:
            return None
        if reading.used + need.ram_low <= reading.limit:
            return None
        text = f"needs about {human(need.ram_mean)}, {human(max(0, reading.limit - reading.used))} are free of "
        text += f"{human(reading.limit)}"
        room = entry_of(Level.EMERGENCY, reading.limit, settings.ram) - reading.used
        if frames := self._forecast.fitting_frames(job, room):
            text += f": fewer frames, e.g. {frames}"
        if settings.gate.too_large == "hold":
            return None
        if settings.gate.too_large == "refuse":
            self._wait = None
            self._show(GateState())
            return Verdict(False, f"{text}. It was not run; gate.too_large at 'run' lets such prompts run", refused=True)
        if job.id not in self._warned:
            self._warned.append(job.id)
            log.warning("prompt %s %s; it starts all the same (gate.too_large)", job.id, text)
        return self._start()

    def _start(self) -> Verdict:
        self._wait = None
        self._show(GateState())
        return Verdict(True)

    def _hold(self, job: Job, reading: MemoryReading, settings: Settings) -> Verdict:
        assert self._wait is not None
        waited = self._clock() - self._wait.since
        since = self._wall() - waited
        until = since + settings.gate.wait if settings.gate.on_timeout == "run" else None
        need = self._known_need(job)
        reason = f"RAM {reading.fraction:.0%} of {human(reading.limit)}; "
        if need is not None and self._lacks(reading, settings, need, Level.EMERGENCY) > 0:
            reason += f"it needs about {human(need.ram)}"
        else:
            reason += f"it starts below {settings.ram.warning - settings.ram.leave:.0%}"
        self._show(GateState("waiting", reason, since, until, job.id))
        return Verdict(False, reason, LOOK)

    def _show(self, state: GateState) -> None:
        with self._lock:
            # A decision of the worker may come in just after a pause: what shows then is the pause.
            if self._paused_since is not None:
                state = GateState("paused", "paused by hand", self._paused_since, None, state.job)
            previous, self._state = self._state, state
        if (previous.state, previous.job) != (state.state, state.job):
            self._changed(state)
