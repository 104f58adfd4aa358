"""Keeps a server running: starts it, watches it, and starts it again when it died, hung or leaked."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from .exits import Exit, ExitLog, Reason
from .life import TICK, Life, LifeEnd, Notes
from .parts import ChildLike, Signals, WatcherLike
from .policy import Restarts
from .system import System, give_signals_back, take_signals
from .verdict import HangWatch, LeakWatch

GAVE_UP = 69
"""Our exit code when the server died too often: `EX_UNAVAILABLE` of sysexits.h, which no signal and no Python uses."""
NOT_FOUND, NOT_STARTED = 127, 126
"""Our exit codes when the command cannot be found, or not be started, as shells have it."""


class SignalBox:
    """Takes the signals that come to us, so that the loop can pass them on; gives them back to who had them before.

    Only on the main thread. Use as a context manager.

    Args:
        system: says which ones.
    """

    def __init__(self, system: System) -> None:
        self._stop = system.stop_signals
        self._all = system.stop_signals + system.other_signals
        self._came: deque[int] = deque()
        self._before: Mapping[int, Any] = {}

    def __enter__(self) -> SignalBox:
        self._before = take_signals(self._all, lambda number, frame: self._came.append(number))
        return self

    def __exit__(self, *_: object) -> None:
        give_signals_back(self._before)

    def take(self) -> list[int]:
        """Return those that came since the last call."""
        found = []
        while self._came:
            found.append(self._came.popleft())
        return found

    def stops(self, number: int) -> bool:
        """Whether this one tells us to stop."""
        return number in self._stop


class Supervisor:
    """Runs one command until it has ended for good.

    It is started again when it died by a signal or with a code other than 0, when it hung, when it leaked, and when
    it asked for it (`reboot_marker`); a start again that fails counts as a death. It is not when the user asked it to
    stop, when it ended with code 0, and when it died too often in an hour. A SIGTERM that came to the child alone is a
    death, too: guardians against full memory (earlyoom) send one before they kill; who wants to stop the server stops
    the supervisor.

    Args:
        start: starts the child.
        watch: starts to look at it.
        signals: what comes to us.
        system: how a child is told to end.
        restarts: how often, how soon.
        hang: tells when it hangs.
        leak: tells when it leaks; None to start nothing again for that.
        exits: takes each end.
        rebooting: whether the child that just ended has asked to be started again.
        say: takes a line for the user.
        url: the server's, for those lines.
        clock: monotonic seconds.
        wall: seconds since the epoch.
        sleep: waits seconds.
    """

    def __init__(
        self,
        start: Callable[[], ChildLike],
        watch: Callable[[], WatcherLike],
        signals: Signals,
        system: System,
        *,
        restarts: Restarts,
        hang: HangWatch,
        leak: LeakWatch | None,
        exits: ExitLog,
        rebooting: Callable[[], bool],
        say: Callable[[str], None],
        url: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._start, self._watch, self._signals, self._system = start, watch, signals, system
        self._restarts, self._hang, self._leak, self._exits = restarts, hang, leak, exits
        self._rebooting, self._say, self._url = rebooting, say, url
        self._clock, self._wall, self._sleep = clock, wall, sleep
        self._notes = Notes(say)
        self._ran_before: tuple[str, ...] = ()

    def run(self) -> int:
        """Run it; return the exit code that is to be ours."""
        came_up = False
        while True:
            try:
                child = self._start()
            except OSError as error:
                # What has run before is not wrong by itself: memory is short just after a kill for it, a share is away.
                again = self._restarts.delay(0.0, False) if came_up else None
                when = "" if again is None else f"; that is tried again in {again:.0f} s"
                self._say(f"The server cannot be started: {error}{when}")
                if again is None:
                    return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_STARTED
                if (asked := self._pause(again)) is not None:
                    return self._stopped(asked)
                continue
            came_up = True
            end = self._live(child)
            delay = self._delay(end)
            self._exits.add(self._record(child.pid, end, delay))
            child.close(sweep=delay is not None)
            self._say(self._sentence(child.pid, end, delay))
            if delay is None:
                return end.ending.status if _is_final(end) else GAVE_UP
            if (asked := self._pause(delay)) is not None:
                return self._stopped(asked)

    def _stopped(self, asked: int) -> int:
        self._say("Asked to stop before the server was started again.")
        return 128 + asked

    def _live(self, child: ChildLike) -> LifeEnd:
        self._hang.new_life()
        if self._leak is not None:
            self._leak.new_life()
        life = Life(
            child,
            self._watch(),
            self._signals,
            self._hang,
            self._leak,
            steps=self._system.steps,
            rebooting=self._rebooting,
            reap=self._system.reap,
            notes=self._notes,
            url=self._url,
            clock=self._clock,
            sleep=self._sleep,
        )
        return life.run()

    def _delay(self, end: LifeEnd) -> float | None:
        """Seconds until the next start; None for none."""
        if _is_final(end):
            return None
        if end.reason in (Reason.LEAK, Reason.REBOOT):
            return 0.0
        # A life may be too short for two looks: another job than at the death before means that work has gone on, too.
        went_on = bool(end.jobs and self._ran_before and end.jobs != self._ran_before)
        self._ran_before = end.jobs or self._ran_before
        return self._restarts.delay(end.uptime, end.worked or went_on)

    def _pause(self, delay: float) -> int | None:
        """Wait; return the signal by which the user told us to stop meanwhile, or None."""
        until = self._clock() + delay
        while True:
            for number in self._signals.take():
                if self._signals.stops(number):
                    return number
            left = until - self._clock()
            if left <= 0:
                return None
            self._sleep(min(left, TICK))

    def _record(self, pid: int, end: LifeEnd, delay: float | None) -> Exit:
        return Exit(
            time=self._wall(),
            pid=pid,
            reason=end.reason,
            detail=end.detail,
            code=end.ending.code,
            signal=end.ending.signal,
            uptime=round(end.uptime, 3),
            jobs=end.jobs,
            node=end.node,
            peak=end.peak,
            restart_in=delay,
        )

    def _sentence(self, pid: int, end: LifeEnd, delay: float | None) -> str:
        at = f", while {end.node} ran" if end.node else ""
        if end.reason in (Reason.HANG, Reason.LEAK):
            ended = f"The server (pid {pid}) has been ended"  # why was said when it was found
        else:
            ended = f"The server (pid {pid}) {end.detail}"
        ended += f" after {duration(end.uptime)}{at}."
        if delay is not None and end.reason in (Reason.LEAK, Reason.REBOOT):
            return f"{ended} It is started again now."
        if delay is not None:
            when = f"in {delay:.0f} s" if delay else "at once"
            return f"{ended} It is started again {when} (restart {self._restarts.in_last_hour} in an hour)."
        if end.reason is Reason.ASKED:
            return ended
        if _is_final(end):
            return f"{ended} That is how a server ends in order: it is not started again."
        return (
            f"{ended} It was started again {self._restarts.in_last_hour} times in the last hour, and is given up. What "
            "it wrote last says why; a higher --limit-per-hour allows more."
        )


def _is_final(end: LifeEnd) -> bool:
    """Whether a life's end is the end: asked for by the user, or in order."""
    return end.reason is Reason.ASKED or (end.reason is Reason.CODE and end.ending.code == 0)


def duration(seconds: float) -> str:
    """Return seconds as a person says them: `42 s`, `7 min`, `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
