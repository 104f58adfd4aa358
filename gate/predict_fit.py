"""A straight line through the runs of a family: what they took against how large they were, and how far off that is.

Weighted least squares of relative errors with no negative slope (more frames never take less), solved by hand: four
unknowns, and numpy is not a requirement.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

DECAY = 0.97
"""Weight of a run against the next newer one: after 23 runs it counts half."""

PRIOR_SPREAD = 0.05
"""Relative spread taken for granted before runs have shown theirs (peaks of core nodes spread 2–10 %)."""

PRIOR_WEIGHT = 5.0
"""Runs that this counts as."""

ANCHOR = 0.05
"""Weight, in runs, of the guess that a run of no pixels takes `ANCHOR_SHARE` of the mean: it bends a line through
runs that are all of one size, and is nothing where sizes differ."""

ANCHOR_SHARE = 0.3

BEYOND = 0.05
"""What is added to the relative spread at twice the largest size that was seen."""

RIDGE = 1e-7
"""Keeps columns that say the same apart."""


@dataclass(frozen=True)
class Row:
    """A run for one of the lines: sizes, what it took, its weight among the others."""

    sizes: tuple[float, ...]
    took: float
    weight: float = 1.0


class Fit:
    """A line for one quantity of one family.

    Args:
        rows: oldest first; at least one.
        grain: added to what is expected before errors are taken relative to it: below it, differences are noise.
    """

    def __init__(self, rows: Sequence[Row], grain: float) -> None:
        self._grain = grain
        self._scale = [max(max(r.sizes[i] for r in rows), 1.0) for i in range(len(rows[0].sizes))]
        self._slopes = self._solve(rows)
        self.count = len(rows)
        self.errors = [(r.took - (m := self.mean(r.sizes))) / (m + grain) for r in rows]
        """(took − expected) / (expected + grain), by run."""
        used = sum(1 for slope in self._slopes if slope > 0)
        # In bytes, which is what a margin costs, the errors of large runs count for more; and those of late ones.
        means = [self.mean(r.sizes) + grain for r in rows]
        most = max(means)
        counts = [r.weight * m / most for r, m in zip(rows, means, strict=True)]
        squares = [(2 * c * e * e, e > 0) for c, e in zip(counts, self.errors, strict=True)]
        free = max(0.0, sum(counts) - used) + PRIOR_WEIGHT
        self._free = max(0.0, len(rows) - used) + PRIOR_WEIGHT
        prior = PRIOR_WEIGHT * PRIOR_SPREAD**2
        self.up = math.sqrt((sum(s for s, above in squares if above) + prior) / free)
        """Relative standard error of a run that takes more than the mean …"""
        self.down = math.sqrt((sum(s for s, above in squares if not above) + prior) / free)
        """… and of one that takes less: peaks are skewed."""
        self._sorted = sorted(zip(self.errors, counts, strict=True))
        self._counts = sum(counts) + max(counts)
        self._known: dict[float, float | None] = {}

    def mean(self, sizes: Sequence[float]) -> float:
        """What a run of these sizes is expected to take."""
        slopes = self._slopes
        return slopes[0] + sum(k * s / c for k, s, c in zip(slopes[1:], sizes, self._scale, strict=True))

    def quantile(self, sizes: Sequence[float], share: float) -> float:
        """What so large a share of runs of these sizes stays below; outside of the sizes seen the margin grows."""
        mean = self.mean(sizes)
        return max(0.0, mean + self.margin(sizes, share) * (mean + self._grain))

    def margin(self, sizes: Sequence[float], share: float) -> float:
        """The relative distance from the mean; negative for a share below a half."""
        beyond = max((s / c for s, c in zip(sizes, self._scale, strict=True)), default=0.0) - 1.0
        spread = (self.up if share > 0.5 else self.down) * math.sqrt(1.0 + 2.0 / self.count) + BEYOND * min(
            1.0, max(0.0, beyond)
        )
        margin = student(share, self._free) * spread
        # What was seen counts where enough was: few errors tell nothing of a far quantile.
        if share > 0.5 and (seen := self._seen(share)) is not None:
            return max(margin, seen)
        if share < 0.5 and (seen := self._seen(share)) is not None:
            return min(margin, seen)
        return margin

    def _seen(self, share: float) -> float | None:
        """The error that so large a share of the runs, by their counts, stayed below; one more run is yet to come."""
        if share not in self._known:
            self._known[share] = self._look_up(share)
        return self._known[share]

    def _look_up(self, share: float) -> float | None:
        below, error = 0.0, None
        for error, count in self._sorted:
            below += count
            if below >= share * self._counts:
                return error if share > 0.5 or below > count else None
        return None

    def _solve(self, rows: Sequence[Row]) -> list[float]:
        size = len(self._scale) + 1
        grain, scale = self._grain, self._scale
        mean = sum(r.took for r in rows) / len(rows)
        a = [[0.0] * size for _ in range(size)]
        b = [0.0] * size
        weight = ANCHOR / (mean + grain) ** 2
        a[0][0] += weight
        b[0] += weight * ANCHOR_SHARE * mean
        # Errors count relative to what a run of that size should take, not to what it took: a reading of next to
        # nothing would outweigh all others.
        middle = sum(sum(r.sizes) for r in rows) / len(rows) or 1.0
        for row in rows:
            usual = mean * (ANCHOR_SHARE + (1 - ANCHOR_SHARE) * sum(row.sizes) / middle)
            weight = row.weight / (usual + grain) ** 2
            x = [1.0, *(s / c for s, c in zip(row.sizes, scale, strict=True))]
            for i in range(size):
                if (wx := weight * x[i]) != 0.0:
                    b[i] += wx * row.took
                    line = a[i]
                    for j in range(i, size):
                        line[j] += wx * x[j]
        for i in range(size):
            for j in range(i):
                a[i][j] = a[j][i]
        active = [i for i in range(size) if a[i][i] > 0.0]
        ridge = RIDGE * sum(a[i][i] for i in active) / len(active)
        while True:
            found = _linear([[a[i][j] + (ridge if i == j else 0.0) for j in active] for i in active], b, active)
            worst = min(range(len(active)), key=lambda k: found[k])
            if found[worst] >= 0.0 or len(active) == 1:
                break
            active.pop(worst)
        slopes = [0.0] * size
        for k, i in enumerate(active):
            slopes[i] = max(0.0, found[k])
        return slopes


def _linear(matrix: list[list[float]], right: Sequence[float], active: Sequence[int]) -> list[float]:
    """Solve a small symmetric system (Gauss, largest pivot first)."""
    rows = [[*line, right[i]] for line, i in zip(matrix, active, strict=True)]
    n = len(rows)
    for column in range(n):
        pivot = max(range(column, n), key=lambda r: abs(rows[r][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column]
        for r in range(column + 1, n):
            if head[column] and (factor := rows[r][column] / head[column]):
                rows[r] = [x - factor * y for x, y in zip(rows[r], head, strict=True)]
    found = [0.0] * n
    for r in range(n - 1, -1, -1):
        rest = rows[r][n] - sum(rows[r][j] * found[j] for j in range(r + 1, n))
        found[r] = rest / rows[r][r] if rows[r][r] else 0.0
    return found


def normal(share: float) -> float:
    """The quantile of the normal distribution (Abramowitz and Stegun 26.2.23, error below 4.5e-4)."""
    tail = min(share, 1.0 - share)
    if tail <= 0.0:
        return math.copysign(4.0, share - 0.5)
    t = math.sqrt(-2.0 * math.log(tail))
    z = t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (
        1.0 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t
    )
    return z if share > 0.5 else -z


@functools.lru_cache(maxsize=1024)
def student(share: float, free: float) -> float:
    """The same for few runs: Student's t with so many degrees of freedom (first terms of Fisher's expansion)."""
    z = normal(share)
    return z + (z**3 + z) / (4.0 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96.0 * free * free)
