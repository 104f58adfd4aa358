"""One life of a supervised server: watched from its start to its end, ended where it hangs or leaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .exits import Reason
from .look import Answer, Look
from .parts import ChildLike, Signals, WatcherLike
from .system import Ending, Step
from .verdict import HangWatch, LeakStep, LeakWatch

TICK = 0.2
"""Seconds between two looks at process and signals; each costs some 20 µs."""
PATIENCE = 3
"""How often the user has to ask before a server that does not end is killed."""
KILL_AGAIN = 5.0
"""Seconds after a kill before the next one; only a process that the kernel holds (a broken disk) needs more."""
TELL_UNKNOWN_AFTER = 300.0
"""Seconds without any answer before we say that we may ask at the wrong address; ComfyUI needs a minute at most."""


@dataclass(frozen=True)
class LifeEnd:
    """How a life ended, and what was going on. `worked`: whether a job ended in it."""

    reason: Reason
    detail: str
    ending: Ending
    uptime: float
    jobs: tuple[str, ...]
    node: str
    peak: int | None
    worked: bool


class Notes:
    """Says what is to be said once, in whatever life."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._said: set[str] = set()

    def once(self, line: str) -> None:
        """Say `line` the first time."""
        if line not in self._said:
            self._said.add(line)
            self.say(line)


class Life:
    """Watches one child.

    Args:
        child: just started.
        watcher: looks at what it says of itself.
        signals: what comes to us.
        hang: fresh in this life (`new_life`).
        leak: the same; None to start nothing again for a leak.
        steps: how a child is told to end.
        rebooting: whether the child has asked to be started again; asked once, at its end.
        reap: called now and then with the child's pid.
        notes: takes lines for the user.
        url: for those lines.
        clock: monotonic seconds.
        sleep: waits seconds.
    """

    def __init__(
        self,
        child: ChildLike,
        watcher: WatcherLike,
        signals: Signals,
        hang: HangWatch,
        leak: LeakWatch | None,
        *,
        steps: Sequence[Step],
        rebooting: Callable[[], bool],
        reap: Callable[[int], None],
        notes: Notes,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._child, self._watcher, self._signals = child, watcher, signals
        self._hang, self._leak = hang, leak
        self._steps, self._next_step = list(steps), 0.0
        self._rebooting, self._reap, self._notes, self._url = rebooting, reap, notes, url
        self._clock, self._sleep = clock, sleep
        self._began = self._last_look = clock()
        self._why: tuple[Reason, str] | None = None
        self._asked = 0
        self._answered = False
        self._look: Look | None = None
        self._ended_at_first: int | None = None

    def run(self) -> LifeEnd:
        """Watch until it has ended."""
        while (ending := self._child.poll()) is None:
            self._pass_signals()
            for look in self._watcher.take():
                self._see(look)
            self._end_it()
            self._sleep(TICK)
            self._reap(self._child.pid)
        self._watcher.stop()
        self._pass_signals()  # one may have come to both of us: then its end was asked for
        return self._summary(ending)

    def _pass_signals(self) -> None:
        for number in self._signals.take():
            self._child.pass_on(number)
            if self._signals.stops(number):
                self._asked += 1
                if self._asked == PATIENCE:
                    self._notes.say(f"Asked {PATIENCE} times: the server is killed.")
                    self._child.kill()

    def _see(self, look: Look) -> None:
        now = self._clock()
        seconds, self._last_look = now - self._last_look, now
        if self._why is not None or self._asked:
            return
        self._tell(look)
        if look.answer is Answer.GATE:
            self._look = look
            self._ended_at_first = look.ended if self._ended_at_first is None else self._ended_at_first
        if hangs := self._hang.see(look, seconds):
            self._finish(Reason.HANG, f"hangs: {hangs}")
        elif self._leak is not None and (step := self._leak.see(look, seconds)):
            self._act_on_leak(step)

    def _tell(self, look: Look) -> None:
        if look.answer in (Answer.GATE, Answer.STOCK):
            if not self._answered:
                self._answered = True
                self._notes.say(f"The server answers at {self._url} (pid {self._child.pid}).")
            if look.answer is Answer.STOCK:
                self._notes.once(
                    "The server runs without Resource Gate: its process and its HTTP are watched, its jobs and its "
                    "memory are not."
                )
        elif self._hang.unknown_for >= TELL_UNKNOWN_AFTER:
            self._notes.once(
                f"Nobody answers at {self._url}: until somebody does, the process alone is watched. If the server "
                "listens elsewhere, say where with --url."
            )

    def _act_on_leak(self, step: LeakStep) -> None:
        if step is LeakStep.FREE:
            self._notes.say("Memory stays at the emergency level between jobs: the server is told to free all it can.")
            self._watcher.free()
        elif step is LeakStep.BARRED:
            self._notes.say(
                "The server holds memory that cannot be freed, and was started again for this a short time ago: it is "
                "left running, and the next job may not fit."
            )
        else:
            self._finish(
                Reason.LEAK,
                "leaks: memory stays at the emergency level between jobs though all was freed; it is started again "
                "before the kernel kills it with a job",
            )

    def _finish(self, reason: Reason, detail: str) -> None:
        self._why = (reason, detail)
        self._next_step = self._clock()
        self._notes.say(f"The server {detail}.")

    def _end_it(self) -> None:
        """Take the next step to end it, once the one before has had its time."""
        if self._why is None or self._clock() < self._next_step:
            return
        if self._steps:
            step = self._steps.pop(0)
            self._child.pass_on(step.number)
            self._next_step = self._clock() + step.seconds
        else:
            self._notes.say("It does not heed: it is killed.")
            self._child.kill()
            self._next_step = self._clock() + KILL_AGAIN

    def _summary(self, ending: Ending) -> LifeEnd:
        reason, detail = self._reason(ending)
        look = self._look or Look(Answer.REFUSED)
        return LifeEnd(
            reason,
            detail,
            ending,
            self._clock() - self._began,
            look.running,
            look.node if look.running else "",
            self._child.peak() or look.peak,
            self._ended_at_first is not None and look.ended > self._ended_at_first,
        )

    def _reason(self, ending: Ending) -> tuple[Reason, str]:
        if self._asked:
            return Reason.ASKED, f"{ending.text}, as asked"
        if self._why is not None:
            return self._why
        if self._rebooting():
            return Reason.REBOOT, "asked to be started again"
        for_memory = self._child.killed_for_memory(ending)
        if for_memory:
            return Reason.OOM_KILL, "was killed for memory"
        unknown = " (perhaps for memory: this machine does not tell)" if for_memory is None else ""
        return (Reason.SIGNAL if ending.signal else Reason.CODE), ending.text + unknown
