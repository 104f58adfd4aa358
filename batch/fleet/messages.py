"""What reaches the dispatcher from the machines; and what it asks of the way there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...reclaim.action import Cause
from ..joblist.job import Job
from ..runner.result import JobResult
from .machine import Reading


@dataclass(frozen=True)
class Seen:
    """A machine has looked at its server. The first of these is how it joins."""

    machine: str
    url: str
    reading: Reading


@dataclass(frozen=True)
class Left:
    """A machine is no longer there: its worker process has ended, or its connection broke.

    Attributes:
        cause: `reason` as a code and what belongs to it.
    """

    machine: str
    reason: str
    cause: Cause | None = None


@dataclass(frozen=True)
class Told:
    """Something happened to a job that runs: one of the runner's events."""

    lease: str
    event: Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """A job has come to its end on its machine, and its files are here."""

    lease: str
    result: JobResult


@dataclass(frozen=True)
class Broken:
    """Nobody knows what became of a job: its worker ended, or the way to it broke.

    Attributes:
        reached: whether it may have reached its machine; else that had left before, and the job has lost nothing.
    """

    lease: str
    reason: str
    reached: bool = True


@dataclass(frozen=True)
class Foretold:
    """A machine's server was asked what a graph would need.

    Attributes:
        key: of the question.
        need: as `POST /resource_gate/predictions` answers; None where it foretells nothing, or could not be asked.
    """

    machine: str
    key: str
    need: Mapping[str, Any] | None


@dataclass(frozen=True)
class CalledOff:
    """What became of a job's prompts at a machine that has it no more.

    Attributes:
        outcomes: `strays.GONE` or `strays.ENDED` each; None where it could not be done.
    """

    machine: str
    index: int
    outcomes: Sequence[str] | None


Message = Seen | Left | Told | Ended | Broken | Foretold | CalledOff


class Transport(Protocol):
    """The way to the machines; its messages come into the dispatcher's inbox. A lease names one giving of one job."""

    def give(self, lease: str, job: Job, machine: str, first_attempt: int) -> None:
        """Have `machine` perform a job. Does not block; `Ended` or `Broken` follows, once."""
        ...

    def ask(self, machine: str, key: str, graph: Mapping[str, Any]) -> None:
        """Have its server asked what a graph would need. Does not block; `Foretold` follows."""
        ...

    def call_off(self, machine: str, index: int, ids: Sequence[str]) -> None:
        """Have a job's prompts cancelled at a machine that has it no more. Does not block; `CalledOff` follows."""
        ...

    def drop(self, lease: str) -> None:
        """Have it stop that job now. Does not block; `Ended` (stopped) or `Broken` follows where it still runs."""
        ...
