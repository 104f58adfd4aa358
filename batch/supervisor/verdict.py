"""Decides from looks whether a server hangs, or holds memory that only its end gives back.

Both count seconds that were really watched: a gap in which this machine slept is no time in which a server did nothing.
"""

from __future__ import annotations

from enum import Enum

from .look import Answer, Look

HANG_AFTER = 3600.0
"""Seconds without any progress of a running job: long videos take tens of minutes in one node without a progress bar,
and a node that loads a model from afar tells none either."""
SILENT_AFTER = 300.0
"""Seconds in which a server that had answered takes connections and does not answer: nodes that block the event loop,
and swapping, were seen to do so for a minute or two."""
START_AFTER = 1800.0
"""Seconds without a connection: node packs may install what they need before the server listens."""
DEAD_LOOKS = 2
"""Looks in a row that find the prompt worker dead: a server that ends in order has none for a moment."""
DEAD_AFTER = 2.0
"""And seconds from the first of them to the last, for looks may come in quick succession."""
STUCK_LOOKS = 3
"""Looks in a row in which a server says of itself that a prompt is stuck: it may just be going on."""
LONGEST_GAP = 30.0
"""Seconds between two looks that count at the most; a look that is not answered takes 10."""
LEAK_SETTLE = 10.0
"""Seconds at the emergency level between jobs before the server is told to free all: its own ladder comes first."""
LEAK_AFTER_FREE = 15.0
"""Seconds that what was freed may take to show; the ladder waits as long after an action."""
LEAK_EVERY = 1800.0
"""Seconds between two restarts for a leak: a batch that leaks faster is better served by a smaller one."""


class HangWatch:
    """Tells when a server hangs.

    Args:
        hang_after: seconds without progress; 0 never.
        silent_after: seconds without an answer, at most `hang_after`.
        start_after: seconds without a connection.
    """

    def __init__(
        self,
        hang_after: float = HANG_AFTER,
        silent_after: float = SILENT_AFTER,
        start_after: float = START_AFTER,
    ) -> None:
        self._hang_after = hang_after
        self._silent_after = min(silent_after, hang_after) if hang_after else 0.0
        self._start_after = start_after if hang_after else 0.0
        self._address_is_right = False
        self.new_life()

    def new_life(self) -> None:
        """Begin with a fresh server."""
        self._answered = False
        self._silent = self._refused = self._still = 0.0
        self._dead = self._stuck = 0
        self._dead_for = 0.0
        self._mark: object = None

    @property
    def unknown_for(self) -> float:
        """Seconds for which nobody has ever answered at the address; 0 once somebody has."""
        return 0.0 if self._address_is_right else self._silent + self._refused

    def see(self, look: Look, seconds: float) -> str | None:
        """Take a look, and return why the server hangs, or None.

        Args:
            look: what was seen.
            seconds: since the look before it, or the start.
        """
        seconds = min(seconds, LONGEST_GAP)
        if self._dead:
            self._dead_for += seconds
        if look.answer in (Answer.SILENT, Answer.REFUSED):
            return self._unanswered(look.answer, seconds)
        self._answered = self._address_is_right = True
        self._silent = self._refused = 0.0
        dead = look.worker_alive is False
        self._dead, self._dead_for = (self._dead + 1, self._dead_for) if dead else (0, 0.0)
        if self._dead >= DEAD_LOOKS and self._dead_for >= DEAD_AFTER:
            return "its prompt worker is dead: it answers, but runs no prompt any more"
        self._stuck = self._stuck + 1 if look.stuck else 0
        if self._stuck >= STUCK_LOOKS and self._hang_after:
            return f"by its own account {look.stuck}"
        return self._progress(look, seconds)

    def _unanswered(self, answer: Answer, seconds: float) -> str | None:
        if answer is Answer.SILENT:
            self._silent += seconds
        else:
            self._refused += seconds
        if not self._address_is_right:
            return None  # perhaps it is we who ask at the wrong place: that must not end a server
        if self._answered and self._silent >= self._silent_after > 0:
            return f"it has not answered for {self._silent:.0f} s"
        if self._silent + self._refused >= self._start_after > 0:
            return f"it has taken no connection for {self._silent + self._refused:.0f} s"
        return None

    def _progress(self, look: Look, seconds: float) -> str | None:
        held = look.gate_state != "open"
        idle = not look.running and not look.pending
        if held or idle or look.answer is not Answer.GATE or look.mark != self._mark:
            self._still = 0.0
        else:
            self._still += seconds
        self._mark = look.mark
        if self._still < self._hang_after or not self._hang_after:
            return None
        where = f"{look.node} has shown" if look.node else "its queue has shown"
        return f"{where} no progress for {self._still:.0f} s"


class LeakStep(Enum):
    """What is to be done about memory that does not come back."""

    FREE = "tell it to free all it can"
    RESTART = "start it again"
    BARRED = "it was started again for this too short a time ago"


class LeakWatch:
    """Tells when a server holds memory between jobs that only its end gives back.

    It asks for a restart only where that helps: the growth of the process since it came up, taken off what is used,
    must lead below the critical level. Memory that others hold is no reason, nor is a GPU's.

    Args:
        every: seconds between two restarts.
    """

    def __init__(self, every: float = LEAK_EVERY) -> None:
        self._every = every
        self._since_restart: float | None = None
        self.new_life()

    def new_life(self) -> None:
        """Begin with a fresh server."""
        self._base: int | None = None
        self._begin()
        self._told_barred = False

    def _begin(self) -> None:
        self._stuck = 0.0
        self._asked = self._freed = False

    def see(self, look: Look, seconds: float) -> LeakStep | None:
        """Take a look, `seconds` after the one before it; return the next step, or None."""
        if self._since_restart is not None:
            self._since_restart += seconds
        if look.anonymous is not None:
            self._base = look.anonymous if self._base is None else min(self._base, look.anonymous)
        if not self._held(look):
            self._begin()
            return None
        self._stuck += min(seconds, LONGEST_GAP)
        if not self._asked:
            if self._stuck < LEAK_SETTLE:
                return None
            self._asked = True
            return LeakStep.FREE
        if not self._freed:
            self._freed, self._stuck = look.freed, 0.0
            return None
        if self._stuck < LEAK_AFTER_FREE:
            return None
        if self._since_restart is not None and self._since_restart < self._every:
            told, self._told_barred = self._told_barred, True
            return None if told else LeakStep.BARRED
        self._since_restart = 0.0
        return LeakStep.RESTART

    def _held(self, look: Look) -> bool:
        """Whether this is the emergency level between jobs, and the fault of this process."""
        if look.answer is not Answer.GATE or not look.emergency or look.running or look.gate_state == "paused":
            return False
        if look.ram is None or look.anonymous is None or self._base is None:
            return False
        used, limit, critical = look.ram
        return used - (look.anonymous - self._base) < critical * limit
