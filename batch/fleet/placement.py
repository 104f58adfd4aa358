"""Who gets which job: by free memory and by what the job will need, never in turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ...reclaim.action import human
from .machine import DOWN, UP, Reading

ROOM_PATIENCE = 60.0
"""Seconds that an idle machine may lack room *now* for a job that fits it, before it is given the job all the same:
somebody else's program may hold the memory for ever, and a server with Resource Gate frees or waits by itself."""
HIGH = ("critical", "emergency")
"""Levels at which a machine gets no further job: its server is busy freeing memory."""

J = TypeVar("J")


@dataclass
class Room:
    """A machine as placing sees it. Bytes.

    Attributes:
        reading: the last look.
        rest: the least that was in use there whenever nothing ran: what a job comes on top of.
        rest_resident: the same of the server's process alone.
        free: whether its slot is: one job a server.
        proven: workflow → the most arithmetic of a job of it that this machine has done.
        refuted: workflow → the least arithmetic of a job of it that ran out of memory here.
        taking: bytes above its rest that the job it has will take; 0 while it has none, or nobody knows.
        short_since: since when it lacks room for the job it would get; None where it does not.
    """

    name: str
    reading: Reading | None = None
    rest: int | None = None
    rest_resident: int | None = None
    free: bool = True
    proven: dict[str, int] = field(default_factory=dict)
    refuted: dict[str, int] = field(default_factory=dict)
    taking: int = 0
    short_since: float | None = None

    def shares(self, other: Room) -> bool:
        """Whether both machines' servers fill the same memory."""
        mine, its = self.reading, other.reading
        return mine is not None and its is not None and mine.memory == its.memory != ""

    def take(self, reading: Reading) -> None:
        """Take in a look. What is known of the memory stays known while the server does not answer."""
        if reading.ram is None and self.reading is not None:
            reading = dataclasses.replace(reading, ram=self.reading.ram)
            self.reading = reading
            return
        self.reading = reading
        # While something runs the use tells nothing of the rest; the first look has to do until there is a better one.
        if reading.ram is not None and (self.rest is None or (self.free and not reading.busy)):
            self.rest = min(reading.ram.used, reading.ram.used if self.rest is None else self.rest)
            if reading.resident is not None:
                self.rest_resident = min(reading.resident, self.rest_resident or reading.resident)

    def grew(self, peak_ram: int | None, seen: int) -> int | None:
        """Bytes above its rest that a job took it to; None where nothing was measured.

        Args:
            peak_ram: as in a job's result: a server with Resource Gate measures its process' peak, exactly; on a stock
                one the runner looks at the machine's use.
            seen: the most use that our own looks saw while the job ran; 0 where none fell into that time.
        """
        rest = self.rest_resident if self.reading is not None and self.reading.gated else self.rest
        found = [peak_ram - rest] if peak_ram and rest is not None else []
        found += [seen - self.rest] if seen and self.rest is not None else []
        return max(0, *found) if found else None

    def did(self, size: tuple[str, int]) -> None:
        """Take note that it has done a job of that workflow and arithmetic."""
        kind, amount = size
        self.proven[kind] = max(amount, self.proven.get(kind, 0))

    def could_not(self, size: tuple[str, int]) -> None:
        """Take note that it ran out of memory with such a job."""
        kind, amount = size
        self.refuted[kind] = min(amount, self.refuted.get(kind, amount))
        self.proven.pop(kind, None)

    @property
    def ever(self) -> int | None:
        """Room for a job when nothing else is there: up to the critical level; None where nothing tells."""
        ram = self.reading.ram if self.reading else None
        return None if ram is None or self.rest is None else max(0, ram.ceiling - self.rest)

    @property
    def now(self) -> int | None:
        """Room for a job as things stand."""
        ram = self.reading.ram if self.reading else None
        return None if ram is None else max(0, ram.ceiling - ram.used)

    def describe(self) -> str:
        """Its room, and how that is reckoned, for a person."""
        ram = self.reading.ram if self.reading else None
        if ram is None or self.rest is None:
            return f"{self.name} does not tell its memory"
        share = ram.tiers.get("critical", 0.0)
        return (
            f"{self.name} has room for {human(self.ever or 0)} "
            f"({share:.0%} of {human(ram.limit)}, less {human(self.rest)} in use at rest)"
        )


@dataclass(frozen=True)
class Wish(Generic[J]):
    """A job that waits, with what it will need.

    Attributes:
        need: bytes above a server's rest; None: nobody knows.
        least: bytes below which it cannot run at all.
        size: workflow and bytes of arithmetic, to compare it with jobs done.
        foretold: machine → bytes above its rest by the runs of its own server, and the least it can be brought down to;
            where it says nothing, `need` and `least` hold.
        awaited: machines whose server has been asked that and will answer in a moment.
        only: machines it is held to; empty: any.
        barred: machines it must not go to any more.
    """

    job: J
    need: int | None
    least: int = 0
    size: tuple[str, int] = ("", 0)
    only: frozenset[str] = frozenset()
    barred: frozenset[str] = frozenset()
    foretold: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    awaited: frozenset[str] = frozenset()

    def need_on(self, room: Room) -> int | None:
        """Bytes above the rest of that machine."""
        return self.foretold[room.name][0] if room.name in self.foretold else self.need


def fits(wish: Wish[J], room: Room) -> bool:
    """Whether the job may ever be given to that machine."""
    if room.name in wish.barred or (wish.only and room.name not in wish.only):
        return False
    kind, amount = wish.size
    if amount and kind in room.refuted and amount >= room.refuted[kind]:
        return False
    if room.name in wish.only or (kind in room.proven and amount <= room.proven[kind]):
        return True  # what it is held to has had it before: its prompt may be there
    ever, need = room.ever, wish.need_on(room)
    return ever is None or need is None or need <= ever


def fits_tightly(wish: Wish[J], room: Room, rooms: Iterable[Room]) -> bool:
    """Whether it is worth a try on that machine, though prediction says no, because no other has more room.

    A server with Resource Gate drops what the prompt no longer needs between its nodes; then a job comes through
    with little more than its largest picture. On a stock one all of them must have room.
    """
    ever, kind = room.ever, wish.size[0]
    elsewhere = room.name in wish.barred or (wish.only and room.name not in wish.only)
    if ever is None or room.reading is None or elsewhere or kind in room.refuted:
        return False
    least = wish.least if room.reading.gated else wish.size[1]
    if room.name in wish.foretold:
        least = wish.foretold[room.name][1]
    if not least or least > ever:
        return False
    return all((other.ever or 0) <= ever for other in rooms if other.name not in wish.barred)


def fits_beside(wish: Wish[J], room: Room, rooms: Iterable[Room]) -> bool:
    """Whether there is room beside the jobs that other servers have in the same memory."""
    ever, need = room.ever, wish.need_on(room)
    beside = sum(other.taking for other in rooms if other is not room and other.shares(room))
    return not beside or ever is None or need is None or need + beside <= ever


def choose(
    wishes: Sequence[Wish[J]],
    rooms: Collection[Room],
    now: float,
    patience: float = ROOM_PATIENCE,
) -> list[tuple[Wish[J], Room]]:
    """Give waiting jobs to free machines; at most one each.

    The machine with the most free memory chooses first. It takes a job that fewest others could take, so that a large
    machine does large jobs while there are any, and of those the first in the list's order. Servers that share one
    memory have jobs at the same time as far as these fit beside each other.

    Args:
        rooms: of what is given, `taking` is set in them.
        now: seconds on a steady clock.
        patience: see `ROOM_PATIENCE`.
    """
    left = list(wishes)
    given: list[tuple[Wish[J], Room]] = []
    known = [room for room in rooms if room.reading is not None and room.reading.state != DOWN]
    takers = sorted(filter(_takes, known), key=lambda room: -1 if room.now is None else room.now, reverse=True)
    for room in takers:
        decided = [w for w in left if room.name not in w.awaited and fits_beside(w, room, rooms)]
        mine = [wish for wish in decided if fits(wish, room)]
        if not mine:
            mine = [w for w in decided if not any(fits(w, r) for r in rooms) and fits_tightly(w, room, rooms)]
        if not mine:
            continue
        others = {id(wish): sum(fits(wish, other) for other in known) for wish in mine}
        wish = min(mine, key=lambda wish: (not wish.only, others[id(wish)]))
        if _must_wait(wish, room, now, patience):
            continue
        room.short_since = None
        given.append((wish, room))
        room.taking = wish.need_on(room) or 0
        left.remove(wish)
    return given


def _takes(room: Room) -> bool:
    reading = room.reading
    return room.free and reading is not None and reading.state == UP and reading.level not in HIGH


def _must_wait(wish: Wish[J], room: Room, now: float, patience: float) -> bool:
    """Whether the machine should first get rid of what fills it."""
    need = wish.need_on(room)
    if room.now is None or room.ever is None or need is None or (room.reading and room.reading.gated):
        return False
    if min(need, room.ever) <= room.now:
        return False
    if room.short_since is None:
        room.short_since = now
    return now - room.short_since < patience


def nowhere(wish: Wish[J], rooms: Collection[Room], why: Callable[[str], str] = lambda _: "") -> str:
    """Why no machine can ever take that job, with the numbers; empty where one can, or may be able to.

    Args:
        why: why a machine that the job is barred from is no choice any more, by name.
    """
    if not rooms or any(fits(wish, r) or fits_tightly(wish, r, rooms) or r.name in wish.awaited for r in rooms):
        return ""
    reasons = []
    for room in rooms:
        told = why(room.name) if room.name in wish.barred else ""
        refuted = wish.size[0] in room.refuted
        own = f" and foretells {human(wish.foretold[room.name][0])} for it" if room.name in wish.foretold else ""
        told = told or (f"{room.name} ran out of memory with one like it" if refuted else room.describe() + own)
        reasons.append(told)
    need = f"it needs about {human(wish.need)}" if wish.need is not None else "its need is not known"
    return f"it fits on no machine: {need}; " + "; ".join(reasons)
