"""Where a trial stands, and what came of it: a line for each clip, and their sum."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class JobResult:
    """What became of one clip.

    Attributes:
        name: the job's.
        state: `done`, `lost` (its process died), `failed` (the server says so) or `broken` (the file is not whole).
        reason: for all but `done`; for `done` what the check of the file found.
        seconds: from the moment it could run to its end.
        verified: whether the file was decoded; False where nothing here can.
    """

    name: str
    state: str
    reason: str = ""
    seconds: float = 0.0
    verified: bool = False


@dataclass
class TrialResult:
    """The sum of a trial. Bytes and seconds; `wall` runs from the first submit to the last end, restarts included."""

    total: int
    deaths: int = 0
    peak: int = 0
    """Most bytes the control group was charged with, page cache included."""
    anonymous_peak: int = 0
    """Most bytes of it that cannot be dropped."""
    wall: float = 0.0
    cpu: float = 0.0
    """CPU seconds of the server in all its lives, starts included: on a busy machine a truer figure than `wall`."""
    jobs: list[JobResult] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Clips that are whole."""
        return sum(job.state == "done" for job in self.jobs)

    @property
    def whole(self) -> bool:
        """Whether every clip is."""
        return self.done == self.total

    @property
    def verified(self) -> bool:
        """Whether every clip that counts as done was decoded to its end."""
        return all(job.verified for job in self.jobs if job.state == "done")

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "done": self.done, "verified": self.verified}


@dataclass(frozen=True)
class Progress:
    """Where a trial stands, for who shows it."""

    ended: int
    total: int
    deaths: int
    running: str
    """Name of the job that runs; empty between two."""
    server: Any
