"""What the supervisor is put together of, as far as it needs to know; tests bring parts of their own."""

from __future__ import annotations

from typing import Protocol

from .look import Look
from .system import Ending


class ChildLike(Protocol):
    """What is needed of a child; `supervisor_child.Child` is one."""

    pid: int

    def poll(self) -> Ending | None:
        """How it has ended; None while it runs."""
        ...

    def pass_on(self, number: int) -> None:
        """Send it a signal."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    def killed_for_memory(self, ending: Ending) -> bool | None:
        """Whether that is how it ended; None where nobody can tell."""
        ...

    def peak(self) -> int | None:
        """Most bytes that it held, where that is counted."""
        ...

    def close(self, *, sweep: bool) -> None:
        """Let go of it."""
        ...


class WatcherLike(Protocol):
    """What is needed of a watcher; `supervisor_look.Watcher` is one."""

    def take(self) -> list[Look]:
        """Return the looks since the last call."""
        ...

    def free(self) -> None:
        """Have the server free all it can."""
        ...

    def stop(self) -> None:
        """Look no more."""
        ...


class Signals(Protocol):
    """Signals that came to us; `supervisor.SignalBox` is one."""

    def take(self) -> list[int]:
        """Return those since the last call."""
        ...

    def stops(self, number: int) -> bool:
        """Whether this one tells us to stop."""
        ...
