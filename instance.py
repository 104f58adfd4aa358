"""The running instance of this process: the one module-level singleton, for code that has no other way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .extension import Extension

_running: Extension | None = None


def running() -> Extension | None:
    """The instance that runs in this process, or None."""
    return _running


def set_running(extension: Extension) -> None:
    """Make it known; called once, by `start.run_on`."""
    global _running
    _running = extension
