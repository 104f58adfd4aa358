"""One life of a supervised server: its process, how it is ended, and whether the kernel killed it for memory."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from ...monitor.pressure import pressure_reader
from ..local.memory_limit import LimitedProcess, start_limited
from .system import Ending, System

logger = logging.getLogger(__name__)


def kernel_kills(platform: str = sys.platform) -> int | None:
    """How many processes the kernel has killed for memory in our control group, else on the machine; None elsewhere.

    Each call reads afresh: the monitor's reader looks at the machine's counter every 5 s only.
    """
    if not platform.startswith("linux"):
        return None
    try:
        return pressure_reader(platform).read().oom_kills
    except OSError:
        return None


class Child:
    """A running child, in a process group of its own, its output going where ours goes.

    Args:
        process: started with `system.start_options()`.
        system: how it is told things.
        limited: the same process under a memory limit of ours, else None.
        kills: counts the kernel's kills for memory, where it runs.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        system: System,
        limited: LimitedProcess | None = None,
        kills: Callable[[], int | None] = kernel_kills,
    ) -> None:
        self._process, self._system, self._limited, self._kills = process, system, limited, kills
        self._kills_before = kills()
        self.pid = process.pid

    def poll(self) -> Ending | None:
        """How it has ended; None while it runs."""
        code = self._process.poll()
        return None if code is None else self._system.ending(code)

    def pass_on(self, number: int) -> None:
        """Send it a signal that came to us."""
        if self._process.poll() is None:
            self._system.pass_on(self.pid, number)

    def kill(self) -> None:
        """End it and all below it at once."""
        if self._process.poll() is None:
            self._system.kill(self.pid)

    def killed_for_memory(self, ending: Ending) -> bool | None:
        """Whether that is how it ended; None where it was killed and nobody here can tell what for."""
        limited = self._limited
        if limited is not None and limited.kind == "watched":
            return limited.oom_kills > 0  # then it was we who killed it, on every system
        if not ending.killed:
            return False
        if limited is not None and limited.oom_kills:
            return True
        now = self._kills()
        return None if now is None or self._kills_before is None else now > self._kills_before

    def peak(self) -> int | None:
        """Most bytes that it held; None where that is not counted."""
        return self._limited.peak if self._limited is not None else None

    def close(self, *, sweep: bool) -> None:
        """Let go of an ended child.

        Args:
            sweep: kill what is left of its group: a process that holds its port or its GPU would keep the next life
                from coming up.
        """
        if sweep:
            self._system.sweep(self.pid)
        if self._limited is not None:
            self._limited.close()


def start_child(
    command: Sequence[str],
    environment: Mapping[str, str],
    system: System,
    limit: int | None = None,
    say: Callable[[str], None] = logger.warning,
) -> Child:
    """Start `command`.

    Args:
        command: program and arguments.
        environment: all of it.
        system: whose ways to use.
        limit: bytes of RAM, held by the kernel where it can be; None for no limit of ours.
        say: takes a line where the limit is only watched.

    Raises:
        OSError: the program cannot be started.
    """
    options = {**system.start_options(), "env": dict(environment)}
    if limit is None:
        return Child(subprocess.Popen(list(command), **options), system)
    limited = start_limited(command, limit, say=say, **options)
    return Child(limited.process, system, limited)
