"""The settings themselves: their sections, ranges and defaults. `settings.py` reads, changes and writes them."""

# No postponed annotations here: at every start pydantic would evaluate each of them from its text.
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

GIB = 1024**3
MIB = 1024**2

Share = Annotated[float, Field(ge=0.01, le=1.0)]
Bytes = Annotated[int, Field(ge=0, le=2**50)]


class Section(BaseModel):
    """A group of settings; unknown names are errors, so that a typing mistake is told."""

    # One validator is built for all of them, by who reads the settings: one for each section would cost every start.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Tiers(Section):
    """Where levels begin: as a share of the limit, or as bytes left (0: not used), whichever comes first."""

    warning: Share = 0.85
    critical: Share = 0.90
    emergency: Share = 0.95
    leave: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    """A level is left this far below where it was entered."""
    warning_free: Bytes = 0
    critical_free: Bytes = 0
    emergency_free: Bytes = 0

    @model_validator(mode="after")
    def _in_order(self) -> "Tiers":
        if not self.warning <= self.critical <= self.emergency:
            raise ValueError("warning ≤ critical ≤ emergency must hold")
        free = [f for f in (self.warning_free, self.critical_free, self.emergency_free) if f]
        if free != sorted(free, reverse=True):
            raise ValueError("warning_free ≥ critical_free ≥ emergency_free must hold")
        if self.leave >= self.warning:
            raise ValueError("leave must be smaller than warning")
        return self


class Monitor(Section):
    """How often to look, and at which limit."""

    interval: Annotated[float, Field(ge=0.1, le=60.0)] = 5.0
    """Seconds between samples at rest."""
    interval_min: Annotated[float, Field(ge=0.05, le=5.0)] = 0.1
    """Seconds between samples when little headroom is left."""
    interval_watched: Annotated[float, Field(ge=0.1, le=60.0)] = 1.0
    """Seconds between samples while a panel is open."""
    ram_limit: Bytes = 0
    """A limit set by hand; it wins where it is tighter than the machine's own. 0: none."""

    @model_validator(mode="after")
    def _in_order(self) -> "Monitor":
        if self.interval_min > self.interval:
            raise ValueError("interval_min ≤ interval must hold")
        return self


class Reclaim(Section):
    """What may be given back, and how eagerly."""

    enabled: bool = True
    dry_run: bool = False
    """Say what would be done, and do nothing."""
    pause: Annotated[float, Field(ge=0.0, le=3600.0)] = 15.0
    """Seconds after an action before the next at the same level."""
    trim_slack: Bytes = 512 * MIB
    """Free bytes inside the heap from which giving them back to the system is worth its time."""
    gc_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    """Share of time that garbage collection of ours may take."""
    temp_clean: bool = True
    temp_age: Annotated[float, Field(ge=60.0, le=30 * 86400.0)] = 3600.0
    """Seconds after which an unreferenced temp file has expired."""
    temp_cap: Bytes = 0
    """Bytes the temp folder may hold; above it the oldest unreferenced files go before they expire. 0: no cap."""
    interrupt: bool = True
    """At the emergency level, where memory fills faster than the running node can end: interrupt the prompt and queue
    it again first in line, once."""
    idle_minutes: Annotated[float, Field(ge=0.0, le=1440.0)] = 0.0
    """Minutes without a prompt after which all VRAM and RAM that can be given back is. 0: never."""


class Gate(Section):
    """When a prompt may start."""

    enabled: bool = True
    brake: bool = True
    """Look at the memory before each node of a running prompt, too."""
    wait: Annotated[float, Field(ge=0.0, le=3600.0)] = 30.0
    """Seconds a prompt waits at most for memory to fall."""
    on_timeout: Literal["run", "hold"] = "run"
    """After that: run it all the same, as ComfyUI would have, or hold it until memory has fallen."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """Times a prompt is tried again after an error that may pass (a connection, a time-out). Out of memory: once."""
    batch_retries: Annotated[int, Field(ge=0, le=10_000)] = 50
    """Tries in one batch from which on no more are granted: then it is not the single prompt that is wrong."""
    oom_tiled_vae: bool = False
    """A prompt whose VAE node ran out of memory, again after everything was freed: run it once more with the tiled node
    in place of the plain one. Off, because tiles can show in the picture."""
    retry_wait: Annotated[float, Field(ge=0.0, le=3600.0)] = 15.0
    """Seconds before the first of these; twice as many before the second, three times before the third."""
    restore: Literal["ask", "now", "never"] = "ask"
    """What was queued when the last process ended: offer it, and put it back if nobody has opened the panel within a
    minute of the start; put it back at once; or leave it in the journal."""
    answer_on_disk: bool = False
    """Answer who queues a prompt only once the disk has it. Off: the answer comes at once, and a power cut (no crash,
    no kill) can take what was queued in the last 0.1 s. On, each answer waits for the disk, often 1 ms."""
    predict: bool = True
    """Learn from each run what prompts like it need, and free so much before the next one starts."""
    too_large: Literal["run", "hold", "refuse"] = "run"
    """A prompt that by all that was learned needs more memory than there is: run it all the same, with one warning in
    the log; hold it until there is room; or let it fail at once, with the numbers."""
    fit_first: bool = False
    """While a prompt waits for memory, let a later one start that is known to fit."""
    deaths: Annotated[int, Field(ge=1, le=100)] = 2
    """Deaths of the process with the same prompt running after which that prompt is set aside."""


class Settings(Section):
    """All of them. Sections are frozen: a change makes a new object, which the store hands to who listens."""

    ram: Tiers = Tiers.model_construct()
    vram: Tiers = Tiers.model_construct()
    cpu: Tiers = Tiers.model_construct()
    disk: Tiers = Tiers.model_construct(emergency_free=1 * GIB)
    monitor: Monitor = Monitor.model_construct()
    reclaim: Reclaim = Reclaim.model_construct()
    gate: Gate = Gate.model_construct()


def defaults() -> Settings:
    """All defaults. Nothing is checked, so no validator is built: a start where nothing was set needs none."""
    return Settings.model_construct()
