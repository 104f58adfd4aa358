"""What is known of one family of workflows: its runs, and the lines through them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .fit import DECAY, Fit, Row
from .history import DIED, MEMORY, OK, PRESSED, Run

KEPT = 48
"""Runs that teach: the newest."""

RAM_GRAIN = 32 * 1024**2
"""Bytes below which a difference in memory is noise of the process."""

TIME_GRAIN = 0.1
"""Seconds below which a difference in time is noise of the machine."""

WHOLE = 0.5
"""A run that made less than this share of its pixels took the others from the cache: it tells little of a whole one."""

REFIT_ALWAYS = 12
"""Runs up to which each new one moves the line; later only every `REFIT_EVERY`th does, or one that was off."""

REFIT_EVERY = 8

WRONG = 2.0
"""A run that took less than the expected by this factor, or more, contradicts what is known…"""

WRONG_GRAIN = 8 * RAM_GRAIN
"""… if it is by more bytes than this …"""

WRONG_IN_A_ROW = 3
"""… and after so many of them in a row what was learned before is forgotten."""


OUTGROWN = 5
"""Runs as expected after which a single one that was not is forgotten."""

WRONG_TIME = 4.0
"""A run that took so many times longer or shorter than a file of earlier runs says belies it …"""

WRONG_TIME_GRAIN = 1.0
"""… if it is by more seconds than this, too: the first run of a process loads libraries."""


class Family:
    """Runs of one family, oldest first."""

    def __init__(self) -> None:
        self._runs: deque[Run] = deque(maxlen=KEPT)
        self._fits: dict[str, Fit | None] = {}
        self._hearsay = 0
        """Runs, the oldest, that were read from a file and that no run of this process has borne out yet."""
        self._loaded = 0
        """Runs, the oldest, that were read from a file …"""
        self._times_open = True
        """… and whether none long enough to tell has borne out their times yet."""
        self._contradicted = 0
        self._since_fit = 0
        self._odd: Run | None = None
        self._usual_since_odd = 0
        self.last: Run | None = None

    @property
    def runs(self) -> list[Run]:
        """Those that teach."""
        return list(self._runs)

    @property
    def most_ram(self) -> int:
        """Bytes of the largest run."""
        return max((r.ram for r in self._runs), default=0)

    @property
    def confirmed(self) -> bool:
        """Whether a run of this process has borne out what is known."""
        return bool(self._runs) and not self._hearsay and self._contradicted == 0

    def load(self, run: Run) -> None:
        """Take in a run of an earlier process."""
        self.last = run
        if _teaches(run):
            self._runs.append(run)
            self._hearsay = self._loaded = len(self._runs)
            self._fits.clear()

    def learn(self, run: Run) -> None:
        """Take in a run of this process; where what was known is contradicted, forget that."""
        self.last = run
        if not _teaches(run):
            return
        if run.outcome != OK and (known := self.fit("ram", run.cold)) is not None and run.ram <= known.mean(run.sizes):
            return  # it was stopped on its way: that it took less by then teaches nothing
        off = self._check(run)
        self._loaded -= self._loaded > 0 and len(self._runs) == KEPT
        self._runs.append(run)
        self._since_fit += 1
        if off or len(self._runs) <= REFIT_ALWAYS or self._since_fit >= REFIT_EVERY:
            self._fits.clear()
            self._since_fit = 0

    def forget(self) -> None:
        """Know nothing."""
        self._runs.clear()
        self._fits.clear()
        self._hearsay = self._loaded = self._contradicted = 0

    def fit(self, quantity: str, cold: bool) -> Fit | None:
        """The line for `ram`, `lean`, `vram` or `seconds`; of runs that loaded models, or that found them loaded.

        Where there is none of the kind asked for, the other's.
        """
        key = f"{quantity} {cold}"
        if key not in self._fits:
            self._fits[key] = self._new_fit(quantity, cold)
        return self._fits[key]

    def _new_fit(self, quantity: str, cold: bool) -> Fit | None:
        runs = [r for r in self._runs if r.cold == cold]
        # A run that finds loaded what others had to load takes the less by what loading took.
        found = 0 if cold or runs else 1
        runs = runs or list(self._runs)
        took: Callable[[Run], float] = {
            "ram": lambda r: float(max(0, r.ram - found * r.weights)),
            "lean": lambda r: float(max(0, (r.lean or r.ram) - found * r.weights)),
            "vram": lambda r: float(r.vram),
            "seconds": lambda r: r.seconds,
        }[quantity]
        if quantity == "seconds":  # one that did not come to its end tells nothing of how long it takes
            runs = [r for r in runs if r.outcome == OK]
        if not runs:
            return None
        newest = len(runs) - 1
        if quantity == "lean" and all(r.lean in (0, r.ram) for r in runs):
            return self.fit("ram", cold)
        if quantity == "vram" and not any(r.vram for r in runs):
            return None
        rows = [Row(r.sizes, took(r), DECAY ** (newest - i), r.outcome != OK) for i, r in enumerate(runs)]
        times = quantity == "seconds"
        # What sizes are chosen by is pulled up by the runs that took much: they are what a process dies of.
        weights = sum(r.weights for r in runs) if quantity in ("ram", "lean") and not found else 0
        fixed = weights / max(1.0, sum(row.took for row in rows))
        return Fit(rows, TIME_GRAIN if times else RAM_GRAIN, steady=quantity in ("ram", "vram"), fixed=fixed)

    def _check(self, run: Run) -> bool:
        """Whether the run was off what the line says; drops runs that it contradicts."""
        fit = self.fit("ram", run.cold)
        if fit is None:
            return True
        mean, high = fit.mean(run.sizes), fit.quantile(run.sizes, 0.98)
        low = fit.quantile(run.sizes, 0.02)
        apart = abs(run.ram - mean)
        wrong = apart > WRONG_GRAIN and (run.ram > WRONG * mean or (run.outcome == OK and run.ram * WRONG < mean))
        self._contradicted = self._contradicted + 1 if wrong else 0
        if self._loaded and ((wrong and self._hearsay) or self._belies_times(run)):
            # A file may hold anything. One's own eyes are believed against it, once is enough.
            for _ in range(min(self._loaded, len(self._runs))):
                self._runs.popleft()
            self._hearsay = self._loaded = self._contradicted = 0
            self._fits.clear()
        elif self._contradicted >= WRONG_IN_A_ROW:
            # The ways of the workflow have changed, or an early run was no example of it.
            newest = list(self._runs)[1 - WRONG_IN_A_ROW :]
            self._runs.clear()
            self._runs.extend(newest)
            self._loaded = self._contradicted = 0
            self._fits.clear()
        elif not wrong:
            self._hearsay = 0
            self._usual_since_odd += 1
            if self._odd is not None and self._usual_since_odd >= OUTGROWN:
                if self._odd in self._runs:
                    self._runs.remove(self._odd)
                self._odd = None
                self._fits.clear()
        else:
            self._odd, self._usual_since_odd = run, 0
        return not low <= run.ram <= high

    def _belies_times(self, run: Run) -> bool:
        times = self.fit("seconds", run.cold) if self._times_open and run.outcome == OK else None
        if times is None:
            return False
        short, long = sorted((run.seconds, max(0.0, times.mean(run.sizes))))
        if long - short > max(WRONG_TIME * short, WRONG_TIME_GRAIN):
            return True
        self._times_open = long < WRONG_TIME_GRAIN
        return False


def _teaches(run: Run) -> bool:
    """Whether a run says what a whole one takes. One that ended for want of memory says: at least so much."""
    return run.share >= WHOLE and run.outcome in (OK, MEMORY, PRESSED, DIED)
