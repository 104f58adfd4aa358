"""Whether there is room for what a prompt will need, how much to free for it, and what to say where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..monitor.level import entry_of, level_of
from ..monitor.readings import Level, MemoryReading
from ..reclaim.action import Cause, human
from ..reclaim.ladder import Shortage
from ..settings import Tiers
from ..settings_model import Gate as GateSettings
from .host import Job

if TYPE_CHECKING:
    from .prediction.predict import Need


class Forecast(Protocol):
    """What admission asks of the prediction."""

    def need(self, job: Job) -> Need | None:
        """What the prompt will need; None where nothing is predicted."""
        ...

    def fitting_frames(self, job: Job, room: float) -> int | None:
        """The most frames with which it would need no more than so many bytes."""
        ...

    def fitting_prompt(self, job: Job, room: float) -> str:
        """Id of the first other queued prompt known to need no more than so many bytes; empty where there is none."""
        ...


class NoForecast:
    """Where nothing is predicted."""

    def need(self, job: Job) -> Need | None:
        """Nothing."""
        return None

    def fitting_frames(self, job: Job, room: float) -> int | None:
        """Nothing."""
        return None

    def fitting_prompt(self, job: Job, room: float) -> str:
        """None."""
        return ""


def known_need(forecast: Forecast, job: Job) -> Need | None:
    """What runs of the same family needed; None where nothing is known of them: arithmetic alone holds nobody up."""
    need = forecast.need(job)
    return need if need is not None and need.known else None


def beyond_the_heap(need: Need, free: int) -> Need:
    """A need less what it finds of so many bytes that lie free inside the heap: they are counted as used already.

    Only where all of it is of small blocks: large ones are mapped anew, though ever so much lay free. A trim, which is
    the first thing that is done for those, takes what lies free off what is used.
    """
    if not need.small:
        return need
    less = {name: max(0, getattr(need, name) - free) for name in ("ram", "ram_mean", "ram_low", "lean", "lean_low")}
    return need._replace(**less)


def lacking(reading: MemoryReading, tiers: Tiers, need: Need, tier: Level = Level.CRITICAL) -> int:
    """Bytes by which a need goes over a tier; 0 where it stays below."""
    return max(0, int(reading.used + need.ram - entry_of(tier, reading.limit, tiers)) + 1)


def fits(reading: MemoryReading, tiers: Tiers, need: Need | None, *, waited: bool, freed: bool) -> bool:
    """Whether a prompt may start with what there is.

    A need that runs of this process have borne out decides alone; for any other the thresholds must hold, and it only
    asks for room to be made first. Once all was freed that can be, a need may go up to the emergency level: waiting
    would not change it, and the brake is there. So may what the brake can bring a prompt down to.

    Args:
        waited: a level that was entered must be left, not only touched.
        freed: whether all was freed that the need asks for, or can be.
    """
    if reading.limit <= 0:
        return True
    if need is not None:
        if not freed and lacking(reading, tiers, need):
            return False
        if need.confirmed:
            return not freed or reading.used + need.lean <= entry_of(Level.EMERGENCY, reading.limit, tiers)
    used = reading.used + (tiers.leave * reading.limit if waited else 0)
    return level_of(int(used), reading.limit, tiers) == Level.NORMAL


def cannot_fit(reading: MemoryReading, need: Need | None) -> bool:
    """Whether by the low end of what this process has seen a prompt is larger than what is there."""
    return need is not None and need.confirmed and reading.used + need.lean_low > reading.limit


def shortage_for(job: Job, reading: MemoryReading, tiers: Tiers, need: Need) -> Shortage | None:
    """What to free for a need; None where it fits as it is.

    No further than critical: beyond that go models which this very prompt may load again. The brake does that later,
    before the node that really needs it.
    """
    goal = lacking(reading, tiers, need)
    if not goal:
        return None
    level = max(Level.CRITICAL, level_of(reading.used, reading.limit, tiers))
    why = f"prompt {job.id} needs about {human(need.ram)}, RAM is at {reading.fraction:.0%} of {human(reading.limit)}"
    cause: Cause = {"code": "prompt", "need": need.ram, "fraction": reading.fraction, "limit": reading.limit}
    return Shortage("ram", level, why, goal, cause)


def hopeless(forecast: Forecast, job: Job, reading: MemoryReading, tiers: Tiers, need: Need | None) -> str | None:
    """Why a prompt cannot fit by all that is known, with numbers; None where it may.

    Asked once all was freed that can be. Said only of what this process has seen, and by the low end of the need.
    """
    if need is None or not cannot_fit(reading, need):
        return None
    free = max(0, reading.limit - reading.used)
    text = f"needs about {human(need.ram_mean)}, {human(reading.limit)} is the limit and {human(free)} of it are free"
    room = entry_of(Level.EMERGENCY, reading.limit, tiers) - reading.used
    frames = forecast.fitting_frames(job, room)
    return text + (f": fewer frames, e.g. {frames}" if frames else "")


def may_run_short(reading: MemoryReading, gate: GateSettings, need: Need | None) -> bool:
    """Whether a prompt may start at the end of its wait though memory is short."""
    return gate.on_timeout == "run" and not (gate.too_large == "hold" and cannot_fit(reading, need))
