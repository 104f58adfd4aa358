"""A world for the supervisor: children, looks, signals and time of the tests' own."""

from __future__ import annotations

import json
from dataclasses import replace

from resource_gate.batch.supervisor.exits import ExitLog
from resource_gate.batch.supervisor.look import Answer, Look
from resource_gate.batch.supervisor.policy import Restarts
from resource_gate.batch.supervisor.supervisor import Supervisor
from resource_gate.batch.supervisor.system import Posix
from resource_gate.batch.supervisor.verdict import HangWatch, LeakWatch

GIB = 1024**3
WELL = Look(Answer.GATE, True, ram=(4 * GIB, 10 * GIB, 0.9), anonymous=GIB, peak=2 * GIB)
BUSY = replace(WELL, running=("a",), node="12 ImageScale", mark=(1,))
FULL = replace(WELL, ram=(int(9.6 * GIB), 10 * GIB, 0.9), emergency=True, anonymous=7 * GIB)
DEAD = replace(BUSY, worker_alive=False)
POSIX = Posix(lambda *_: None, lambda *_: None, lambda *_: None, first=False)


class Child:
    """Ends by itself after `lives` seconds with `code`, or by the first signal that it heeds."""

    def __init__(self, world, lives=None, code=0, heeds=(2, 15), oom=False, code_when_told=None):
        self.world, self.lives, self.code, self.heeds, self.oom = world, lives, code, heeds, oom
        self.code_when_told = code_when_told
        self.pid = 100 + len(world.children)
        self.began = world.now
        self.got: list[int] = []
        self.ended: int | None = None
        self.swept: bool | None = None

    def poll(self):
        if self.ended is None and self.lives is not None and self.world.now - self.began >= self.lives:
            self.ended = self.code
        return None if self.ended is None else POSIX.ending(self.ended)

    def pass_on(self, number):
        self.got.append(number)
        if number in self.heeds:
            self.ended = -number if self.code_when_told is None else self.code_when_told

    def kill(self):
        self.got.append(9)
        self.ended = -9

    def killed_for_memory(self, ending):
        return self.oom if ending.killed else False

    def peak(self):
        return None

    def close(self, *, sweep):
        self.swept = sweep


class Watcher:
    """Looks every 3 s at what the world shows of the server."""

    def __init__(self, world):
        self.world, self.next, self.stopped, self.freed = world, world.now + 3, False, False

    def take(self):
        if self.world.now < self.next or self.world.look is None:
            return []
        self.next = self.world.now + 3
        freed, self.freed = self.freed, False
        return [replace(self.world.look, freed=freed)]

    def free(self):
        self.world.frees.append(self.world.now)
        self.freed = True

    def stop(self):
        self.stopped = True


class World:
    """Time, which passes only in sleep; what happens at which second; what was said."""

    def __init__(self, folder):
        self.now = 0.0
        self.folder = folder
        self.events: list[tuple[float, object]] = []
        self.signals: list[int] = []
        self.children: list[Child] = []
        self.plans: list[dict] = []
        self.look: Look | None = WELL
        self.frees: list[float] = []
        self.reboots = 0
        self.said: list[str] = []
        self.reaped: set[int] = set()
        self.failure: OSError | None = None

    def at(self, second, what):
        self.events.append((second, what))

    def send(self, second, number):
        self.at(second, lambda: self.signals.append(number))

    def show(self, second, look):
        self.at(second, lambda: setattr(self, "look", look))

    def sleep(self, seconds):
        self.now += seconds
        assert self.now < 200_000, "it does not end"
        for event in [e for e in self.events if e[0] <= self.now]:
            self.events.remove(event)
            event[1]()

    def take(self):
        taken, self.signals = self.signals, []
        return taken

    def stops(self, number):
        return number in POSIX.stop_signals

    def start(self):
        if self.failure:
            raise self.failure
        self.children.append(Child(self, **(self.plans.pop(0) if self.plans else {})))
        return self.children[-1]

    def rebooting(self):
        self.reboots -= 1
        return self.reboots >= 0

    def run(self, limit=10, hang_after=3600.0, leak=True):
        supervisor = Supervisor(
            self.start,
            lambda: Watcher(self),
            self,
            POSIX,
            restarts=Restarts(limit, lambda: self.now),
            hang=HangWatch(hang_after),
            leak=LeakWatch() if leak else None,
            exits=ExitLog(self.folder, self.said.append),
            rebooting=self.rebooting,
            say=self.said.append,
            url="http://there:1",
            clock=lambda: self.now,
            wall=lambda: 1e9 + self.now,
            sleep=self.sleep,
        )
        return supervisor.run()

    @property
    def exits(self):
        return [json.loads(line) for line in (self.folder / "exits.jsonl").read_text().splitlines()]
