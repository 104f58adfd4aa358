"""The machines of a batch as they come and go, each with a circuit breaker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...reclaim.action import Cause
from ..runner.breaker import Breaker
from .machine import DOWN, ILL, UP, Reading
from .placement import Room

FAILURES = 1
"""Jobs in a row that its server may fail before a machine rests: here another machine takes the job meanwhile."""
LEFT, RESTING, JOINING = "left", "resting", "joining"
"""Further states beside `machine`'s: its worker is gone; its circuit breaker is open; it has not been looked at yet."""


@dataclass
class Machine:
    """One machine: a worker and its server.

    Attributes:
        room: as placing sees it.
        lease: of the job it has; None where its slot is free.
        left, left_cause: why its worker is gone, in words and as a code; empty and None while it is there.
        gone_since: since when its server does not answer, or its worker is gone (steady clock); None while both are.
        breaker: open while it rests, after its server failed a job.
        done, failed: jobs of this batch.
    """

    name: str
    url: str
    room: Room
    breaker: Breaker
    lease: str | None = None
    left: str = ""
    left_cause: Cause | None = None
    gone_since: float | None = None
    done: int = 0
    failed: int = 0
    shown: tuple[str, str] = field(default=("", ""), compare=False)
    """State and reason that were told last."""

    @property
    def state(self) -> tuple[str, str]:
        """Its state and the reason for it."""
        if self.left:
            return LEFT, self.left
        reading = self.room.reading
        if reading is None:
            return JOINING, ""
        if reading.state == UP and self.breaker.wait > 0:
            return RESTING, self.breaker.reason
        return reading.state, reading.reason

    @property
    def cause(self) -> Cause | None:
        """The reason as a code and what belongs to it; None where there is none, or only words tell it."""
        state, _ = self.state
        if state == LEFT:
            return self.left_cause
        if state == RESTING:
            return self.breaker.cause
        return self.room.reading.cause if self.room.reading is not None else None


class Roster:
    """All of them, by name. One thread.

    Args:
        breaker: makes one for each.
    """

    def __init__(self, breaker: Callable[[], Breaker] = lambda: Breaker(FAILURES)) -> None:
        self.machines: dict[str, Machine] = {}
        self._breaker = breaker

    def expect(self, name: str, url: str, now: float) -> Machine:
        """A machine is to come: until it has been heard of, it may have room for anything."""
        machine = Machine(name, url, Room(name), self._breaker(), gone_since=now)
        self.machines[name] = machine
        return machine

    def seen(self, name: str, url: str, reading: Reading, now: float) -> Machine:
        """Take in a look; who was not known joins, who had left is back."""
        machine = self.machines.get(name) or self.expect(name, url, now)
        machine.left, machine.left_cause, machine.url = "", None, url
        machine.room.take(reading)
        if reading.state != DOWN:
            machine.gone_since = None
        elif machine.gone_since is None:
            machine.gone_since = now
        return machine

    @property
    def joining(self) -> bool:
        """Whether one is to come that has not been looked at yet."""
        return any(machine.state[0] == JOINING for machine in self.machines.values())

    def leave(self, name: str, reason: str, now: float, cause: Cause | None = None) -> Machine | None:
        """Its worker is gone, and why: in words, and as a code."""
        machine = self.machines.get(name)
        if machine is not None and not machine.left:
            machine.left, machine.left_cause = reason, cause
            machine.gone_since = now if machine.gone_since is None else machine.gone_since
        return machine

    def rooms(self, now: float, budget: float) -> list[Room]:
        """Those that count when a job is placed: all but who has been gone for longer than `budget` seconds.

        `free` is set on each: its slot is free, its worker there, and its breaker closed. `taking` is 0 where it has no
        job.
        """
        rooms = []
        for machine in self.machines.values():
            if machine.gone_since is not None and now - machine.gone_since > budget:
                continue
            machine.room.taking = machine.room.taking if machine.lease is not None else 0
            machine.room.free = machine.lease is None and not machine.left and machine.breaker.wait <= 0
            rooms.append(machine.room)
        return rooms


def describe(machine: Machine) -> dict[str, Any]:
    """One entry of `machines` in `GET /resource_gate/fleet`, without its job."""
    reading = machine.room.reading
    state, reason = machine.state
    ram = reading.ram if reading is not None and state not in (LEFT, DOWN) else None
    return {
        "name": machine.name,
        "url": machine.url,
        "state": state,
        "reason": reason,
        "cause": machine.cause,
        "level": reading.level if reading is not None and state in (UP, ILL, RESTING) else None,
        "ram": {"used": ram.used, "limit": ram.limit, "fraction": ram.fraction, "tiers": dict(ram.tiers)}
        if ram
        else None,
        "gpus": [{**gpu, "fraction": gpu["used"] / gpu["total"] if gpu["total"] else 0.0} for gpu in reading.gpus]
        if reading
        else [],
        "done": machine.done,
        "failed": machine.failed,
    }
