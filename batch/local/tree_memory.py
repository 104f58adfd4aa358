"""Looks at a number again and again on a thread of its own, keeps its peak, and acts once when it passes a limit.

With a `Family`'s memory as the number and its end as the act this is a memory limit where the kernel gives us none.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

INTERVAL = 0.02
"""Seconds between looks. One look costs about 15 µs; at 500 MB/s a limit is passed by at most 10 MB."""
FAMILY_INTERVAL = 0.25
"""Seconds between searches for new children: psutil walks every process of the machine for one."""

logger = logging.getLogger(__name__)


class Watch:
    """Calls `look` every `interval` seconds from `start` to `stop`.

    Args:
        look: the bytes now, or None where that cannot be told at this moment.
        limit: bytes; None to keep the peak only.
        act: called once, on this thread, when a look is above the limit.
    """

    def __init__(
        self,
        look: Callable[[], int | None],
        limit: int | None = None,
        act: Callable[[], None] | None = None,
        interval: float = INTERVAL,
    ) -> None:
        self._look, self._limit, self._act, self._interval = look, limit, act, interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resource-gate-watch", daemon=True)
        self.now = 0
        self.peak = 0
        self.acted = False

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and wait for the look under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                now = self._look()
                if now is not None:
                    self.now, self.peak = now, max(self.peak, now)
                    if self._limit is not None and now > self._limit and self._act is not None:
                        self.acted = True
                        self._act()
                        return
                self._stop.wait(self._interval)
        except Exception:  # a thread's boundary: said, and the child runs on unwatched
            logger.exception("watching the memory of a child process ended")


class Family:
    """A process and all below it, looked up anew only every `FAMILY_INTERVAL` seconds.

    Args:
        pid: its root.
        proc: where `<pid>/status` lies on Linux.
    """

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._members = [psutil.Process(pid)]
        self._looked = float("-inf")

    def anonymous(self) -> int:
        """Bytes of anonymous memory of all of them (elsewhere than on Linux: private or resident bytes)."""
        if time.monotonic() - self._looked > FAMILY_INTERVAL:
            self._find()
        return sum(self._anonymous_of(member) for member in self._members)

    def kill(self) -> None:
        """SIGKILL all of them, the root first, so that it starts no more."""
        self._find()
        for member in self._members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()

    def _find(self) -> None:
        root = self._members[0]
        with contextlib.suppress(psutil.NoSuchProcess):
            self._members = [root, *root.children(recursive=True)]
        self._looked = time.monotonic()

    def _anonymous_of(self, member: psutil.Process) -> int:
        try:
            if not sys.platform.startswith("linux"):
                memory = member.memory_info()
                return int(getattr(memory, "private", memory.rss))
            for line in (self._proc / str(member.pid) / "status").read_text("ascii", "replace").splitlines():
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        except (psutil.Error, OSError):
            return 0  # it has ended meanwhile
        return 0
