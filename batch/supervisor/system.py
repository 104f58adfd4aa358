"""The systems' differences in starting, telling and ending a child process. Nothing else here asks which one it is."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import psutil

ORDERLY = 15.0
"""Seconds after the first, gentle step: ComfyUI's main thread ends with what it is at, then cleans its temp folder."""
FIRM = 5.0
"""Seconds after SIGTERM, which a Python that does not handle it cannot survive."""

CREATE_NEW_PROCESS_GROUP = 0x200
CTRL_BREAK_EVENT = 1
SIGBREAK = 21
"""Windows' own numbers (winbase.h, wincon.h, signal.h), which Python defines there only."""
NTSTATUS = {
    0xC0000005: "an access violation",
    0xC0000017: "out of memory (STATUS_NO_MEMORY)",
    0xC000012D: "out of commit (STATUS_COMMITMENT_LIMIT)",
    0xC000013A: "Ctrl-C",
    0xC0000409: "a fatal error found by itself",
}
"""Exit codes of Windows that are a name of what happened (ntstatus.h)."""


@dataclass(frozen=True)
class Step:
    """One way to end a child, and the seconds that it is given before the next one."""

    name: str
    number: int
    seconds: float


@dataclass(frozen=True)
class Ending:
    """What an exit code of `subprocess` says.

    Attributes:
        text: in words, to follow "it".
        code: the process's own; None where a signal ended it.
        signal: that signal's name.
        killed: whether it had no say in it (SIGKILL): then it may have been for memory.
        status: what a shell would show, for our own exit.
    """

    text: str
    code: int | None
    signal: str
    killed: bool
    status: int


class System(Protocol):
    """What the supervisor needs of a system."""

    stop_signals: tuple[int, ...]
    """Signals by which the user tells us to stop."""
    other_signals: tuple[int, ...]
    """Signals that are only passed on."""
    steps: tuple[Step, ...]
    """How a child is told to end, gentlest first; after them it is killed."""

    def start_options(self) -> dict[str, Any]:
        """Return arguments of `subprocess.Popen` that put the child into a process group of its own."""
        ...

    def pass_on(self, pid: int, number: int) -> None:
        """Send the child what was sent to us; one that has ended is no error."""
        ...

    def kill(self, pid: int) -> None:
        """Kill the child, all below it, and what is left of its group."""
        ...

    def sweep(self, pid: int) -> None:
        """Kill what an ended child has left of its group."""
        ...

    def reap(self, own: int) -> None:
        """As process 1 of a container: take leave of orphans that have ended, but not of our own child."""
        ...

    def ending(self, code: int) -> Ending:
        """Read `Popen.returncode`."""
        ...


def kill_family(pid: int) -> None:
    """SIGKILL (Windows: TerminateProcess) a process and all below it, the root first, so that it starts no more."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for member in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                member.kill()


def _numbers(*names: str) -> tuple[int, ...]:
    return tuple(int(getattr(signal, name)) for name in names if hasattr(signal, name))


class Posix:
    """Linux and macOS.

    Args:
        kill: as `os.kill`.
        kill_group: as `os.killpg`.
        kill_family: ends a process and all below it.
        first: whether we are process 1, which inherits all orphans.
    """

    stop_signals: tuple[int, ...] = _numbers("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    other_signals: tuple[int, ...] = _numbers("SIGUSR1", "SIGUSR2")
    steps: tuple[Step, ...] = (Step("SIGINT", signal.SIGINT, ORDERLY), Step("SIGTERM", signal.SIGTERM, FIRM))

    def __init__(
        self,
        kill: Callable[[int, int], None] = os.kill,
        kill_group: Callable[[int, int], None] | None = None,
        kill_family: Callable[[int], None] = kill_family,
        first: bool = os.getpid() == 1,
    ) -> None:
        self._kill, self._kill_family, self._first = kill, kill_family, first
        self._kill_group: Callable[[int, int], None] = kill_group or os.killpg

    def start_options(self) -> dict[str, Any]:
        """Make a session of its own: a Ctrl-C at our terminal is ours to pass on, once."""
        return {"start_new_session": True}

    def pass_on(self, pid: int, number: int) -> None:
        """Send what a terminal sends to the whole group, and the rest to the child alone."""
        terminal = number in _numbers("SIGINT", "SIGQUIT", "SIGHUP")
        with contextlib.suppress(ProcessLookupError, PermissionError):  # as `sweep`
            (self._kill_group if terminal else self._kill)(pid, number)

    def kill(self, pid: int) -> None:
        """Kill the tree, whatever groups it is in, then the group."""
        self._kill_family(pid)
        self.sweep(pid)

    def sweep(self, pid: int) -> None:
        """Kill the group; a group without members is gone, and its number is not given away while it has some."""
        # macOS says "not permitted" of a group in which only a zombie is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._kill_group(pid, 9)

    def reap(self, own: int) -> None:
        """Wait for ended children that are not ours; ours is left for `Popen`, which must learn its code."""
        if not self._first or not hasattr(os, "waitid"):
            return
        with contextlib.suppress(ChildProcessError):
            peek = os.WEXITED | os.WNOHANG | os.WNOWAIT
            while (found := os.waitid(os.P_ALL, 0, peek)) is not None and found.si_pid != own:
                os.waitpid(found.si_pid, os.WNOHANG)

    def ending(self, code: int) -> Ending:
        """Tell signals (negative) from codes."""
        if code >= 0:
            return Ending(f"ended with code {code}", code, "", False, code)
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return Ending(f"was ended by {name}", None, name, code == -9, 128 - code)


class Windows:
    """Windows: a new group hears no Ctrl-C, so Ctrl-Break is what it is told to stop with.

    Args:
        kill: as `os.kill`.
        kill_family: ends a process and all below it.
    """

    stop_signals: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, SIGBREAK)
    other_signals: tuple[int, ...] = ()
    steps: tuple[Step, ...] = (Step("Ctrl-Break", CTRL_BREAK_EVENT, ORDERLY),)

    def __init__(
        self,
        kill: Callable[[int, int], None] = os.kill,
        kill_family: Callable[[int], None] = kill_family,
    ) -> None:
        self._kill, self._kill_family = kill, kill_family

    def start_options(self) -> dict[str, Any]:
        """Make a group of its own, without which Ctrl-Break cannot be sent to it alone."""
        return {"creationflags": CREATE_NEW_PROCESS_GROUP}

    def pass_on(self, pid: int, number: int) -> None:
        """Send Ctrl-Break, whatever came to us; without a console (a service) that fails, and it is killed later."""
        with contextlib.suppress(OSError):
            self._kill(pid, CTRL_BREAK_EVENT)

    def kill(self, pid: int) -> None:
        """End the tree."""
        self._kill_family(pid)

    def sweep(self, pid: int) -> None:
        """Leave it: what an ended process has started cannot be found any more."""

    def reap(self, own: int) -> None:
        """Do nothing: there are no orphans to take leave of."""

    def ending(self, code: int) -> Ending:
        """Tell NTSTATUS names from codes; the status is made fit for `sys.exit`, which takes 32 bits with a sign."""
        unsigned = code % 2**32
        name = NTSTATUS.get(unsigned, "")
        text = f"ended with code 0x{unsigned:08X}, {name}" if name else f"ended with code {code}"
        return Ending(text, code, "", False, unsigned - 2**32 if unsigned >= 2**31 else unsigned)


def this_system(platform: str = sys.platform) -> System:
    """Choose by name, as in `sys.platform`."""
    return Windows() if platform == "win32" else Posix()


def take_signals(numbers: tuple[int, ...], handler: Callable[[int, Any], None]) -> Mapping[int, Any]:
    """Install `handler` for those that exist here and are not ignored (`nohup` does that); return who had them."""
    before = {}
    for number in numbers:
        if number in set(signal.Signals) and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, handler)
    return before


def give_signals_back(before: Mapping[int, Any]) -> None:
    """Undo `take_signals`."""
    for number, handler in before.items():
        signal.signal(number, handler)
