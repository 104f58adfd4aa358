"""Tells an orderly end of the process from a death."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

log = logging.getLogger(__name__)

ENDS = getattr(signal, "SIGBREAK", signal.SIGTERM)
"""By which a process is asked to end. Windows has no SIGTERM from outside: `resource-gate run` sends Ctrl-Break."""

CONTROL_C_EXIT = 0xC000013A - 2**32
"""What Windows ends a process with at a Ctrl-Break that it does not handle (STATUS_CONTROL_C_EXIT), signed."""

PATIENCE = 5.0
"""Seconds that the signal waits for them; a service manager kills after ten or more."""


def at_orderly_end(*calls: Callable[[], None]) -> None:
    """Call these when the interpreter ends, and at a signal `ENDS` that nobody else handles, which then does its work.

    What one of them raises is logged, and keeps none behind it from being called. What is called may not be the last
    thing to happen: threads of ComfyUI run on, and a prompt that starts after the journal is closed is in none.

    Python dies of these without a word, and that is how services and containers are stopped: the job that runs at
    that moment has not killed the process.
    """

    def call() -> None:
        for one in calls:
            try:
                one()
            except Exception:  # who is told of it (a server's event loop, say) may be gone by now
                log.debug("at the end of the process", exc_info=True)

    atexit.register(call)
    on_main = threading.current_thread() is threading.main_thread()
    if not on_main or signal.getsignal(ENDS) is not signal.SIG_DFL:
        return

    def terminated(number: int, frame: FrameType | None) -> None:
        # Not on this thread: the signal may have come while it held a lock that `call` needs.
        closing = threading.Thread(target=call, name="resource-gate-close", daemon=True)
        closing.start()
        closing.join(PATIENCE)
        if os.name != "posix":
            os._exit(CONTROL_C_EXIT)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Only process 1 of a container comes here: the kernel spares it a signal that it does not handle.
        os._exit(128 + number)

    signal.signal(ENDS, terminated)
