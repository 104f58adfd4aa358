"""A straight line through the runs of a family: what they took against how large they were, and how far off that is.

Weighted least squares of relative errors with no negative slope (more frames never take less), solved by hand: four
unknowns, and numpy is not a requirement. Where it is asked to be steady, runs that lie far off pull it less (Huber's
weights): a reading of nothing, because what an earlier prompt had left was used again, is not what a run takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

DECAY = 0.95
"""Weight of a run against the next newer one: after 14 runs it counts half."""

PRIOR_SPREAD = 0.05
"""Relative spread taken for granted before runs have shown theirs (peaks of core nodes spread 2–10 %)."""

PRIOR_WEIGHT = 5.0
"""Runs that this counts as."""

KERNEL = 0.25
"""Each error that was seen stands for others like it: spread by this share of the spread of all, and …"""

KERNEL_LEAST = 0.03
"""… by this at least."""

HUBER = 1.5
"""Standard deviations beyond which a run pulls no more than one that lies there."""

STEADY_ROUNDS = 3

FIRM = 3.0
"""Runs that one counts as that ended for want of memory."""

CANDIDATES = 16
"""Margins that are compared for what they would have cost; then quarters of a step around the best."""

ANCHOR = 0.05
"""Weight, in runs, of the guess that a run of no pixels takes `ANCHOR_SHARE` of the mean: it bends a line through
runs that are all of one size, and is nothing where sizes differ."""

ANCHOR_SHARE = 0.3

BEYOND = 0.05
"""What is added to the relative spread at twice the largest size that was seen."""

RIDGE = 1e-7
"""Keeps columns that say the same apart."""


HIGH = 0.95
"""Share of runs that the cheapest margin is about at."""

ROOT_TAU = math.sqrt(2.0 * math.pi)


class Row(NamedTuple):
    """A run for one of the lines: sizes, what it took, its weight among the others.

    `firm`: it ended for want of memory. So it took more than that, whatever others say, and another like it is dearer
    than one that is only tried again.
    """

    sizes: tuple[float, ...]
    took: float
    weight: float = 1.0
    firm: bool = False


class Fit:
    """A line for one quantity of one family.

    Args:
        rows: oldest first; at least one.
        grain: added to what is expected before errors are taken relative to it: below it, differences are noise.
        steady: whether runs far off shall pull the line less: then it is near the median, else it is the mean.
        fixed: the share of what they took that a run of no pixels takes, too, where that is known: its models.
    """

    def __init__(self, rows: Sequence[Row], grain: float, *, steady: bool = False, fixed: float = 0.0) -> None:
        self._grain = grain
        self._anchor_share = max(ANCHOR_SHARE, min(1.0, fixed))
        self._scale = [max(max(r.sizes[i] for r in rows), 1.0) for i in range(len(rows[0].sizes))]
        self._slopes = self._solve(rows)
        self.count = len(rows)
        self.errors = self._off(rows)
        """(took − expected) / (expected + grain), by run."""
        if steady:
            self._steady(rows)
        # In bytes, which is what a margin costs, the errors of large runs count for more; and those of late ones.
        means = [self.mean(r.sizes) + grain for r in rows]
        most = max(means)
        self._counts = [r.weight * (FIRM if r.firm else 1.0) * m / most for r, m in zip(rows, means, strict=True)]
        self._spread = math.sqrt(
            (sum(c * e * e for c, e in zip(self._counts, self.errors, strict=True)) + PRIOR_WEIGHT * PRIOR_SPREAD**2)
            / (sum(self._counts) + PRIOR_WEIGHT)
        )
        self._known: dict[float | None, float] = {}

    def _off(self, rows: Sequence[Row]) -> list[float]:
        return [(r.took - (m := self.mean(r.sizes))) / (m + self._grain) for r in rows]

    def _steady(self, rows: Sequence[Row]) -> None:
        for _ in range(STEADY_ROUNDS):
            away = sorted(abs(e) for e in self.errors)
            usual = HUBER * max(KERNEL_LEAST, 1.48 * away[len(away) // 2])
            if away[-1] <= usual:
                return
            self._slopes = self._solve(
                [
                    r if r.firm else r._replace(weight=r.weight * min(1.0, usual / max(abs(e), 1e-9)))
                    for r, e in zip(rows, self.errors, strict=True)
                ]
            )
            self.errors = self._off(rows)

    def mean(self, sizes: Sequence[float]) -> float:
        """What a run of these sizes is expected to take."""
        slopes = self._slopes
        return slopes[0] + sum(k * s / c for k, s, c in zip(slopes[1:], sizes, self._scale, strict=True))

    def quantile(self, sizes: Sequence[float], share: float | None) -> float:
        """What so large a share of runs of these sizes stays below; outside of the sizes seen the margin grows.

        With None, the share is the one that costs least: see `_cheapest`.
        """
        mean = self.mean(sizes)
        return max(0.0, mean + self.margin(sizes, share) * (mean + self._grain))

    def margin(self, sizes: Sequence[float], share: float | None) -> float:
        """The relative distance from the mean; negative for a share well below a half."""
        if share not in self._known:
            self._known[share] = self._cheapest() if share is None else self._look_up(share)
        beyond = max((s / c for s, c in zip(sizes, self._scale, strict=True)), default=0.0) - 1.0
        farther = BEYOND * min(1.0, max(0.0, beyond))
        return self._known[share] + normal(HIGH if share is None else share) * farther

    def _errors_like(self) -> list[tuple[float, float, float]]:
        """What errors may come, as normal distributions: (runs it counts as, middle, deviation).

        One for what was taken for granted before, the less of all the more runs there were; with few, the line itself
        is not sure. Of those that were seen, neighbours are told together.
        """
        kernel = max(KERNEL_LEAST, KERNEL * self._spread)
        told = [(PRIOR_WEIGHT, 0.0, PRIOR_SPREAD * math.sqrt(1.0 + 2.0 / self.count))]
        first = count = total = 0.0
        for error, weight in sorted(zip(self.errors, self._counts, strict=True)):
            if count and error - first > kernel / 2:
                told.append((count, total / count, kernel))
                count = total = 0.0
            if not count:
                first = error
            count, total = count + weight, total + weight * error
        told.append((count, total / count, kernel))
        return told

    def _look_up(self, share: float) -> float:
        """The error below which so large a share lies."""
        told = self._errors_like()
        wanted = share * sum(count for count, _, _ in told)
        low = min(middle - 4.0 * deviation for _, middle, deviation in told)
        high = max(middle + 4.0 * deviation for _, middle, deviation in told)
        for _ in range(14):
            half = (low + high) / 2
            below = sum(count * below_normal((half - middle) / deviation) for count, middle, deviation in told)
            low, high = (half, high) if below < wanted else (low, half)
        return half

    def _cheapest(self) -> float:
        """The margin with the least waste: what was kept and not taken, and all that was kept where it was too little.

        A run that does not fit fails, and what was kept for it was for nothing; to keep a tenth more for each of forty
        runs, so that one more of them fits, costs more than that one.
        """
        told = self._errors_like()
        high = max(middle + 3.0 * deviation for _, middle, deviation in told)

        def cost(margin: float) -> float:
            total = 0.0
            for count, middle, deviation in told:
                z = (margin - middle) / deviation
                fits = below_normal(z)
                unused = (margin - middle) * fits + deviation * math.exp(-z * z / 2) / ROOT_TAU
                total += count * (unused + (1.0 - fits) * (1.0 + margin))
            return total

        step = high / CANDIDATES
        rough = min((step * k for k in range(CANDIDATES + 1)), key=cost)
        return min((rough + step * k / 4 for k in range(-3, 4)), key=cost)

    def _solve(self, rows: Sequence[Row]) -> list[float]:
        size = len(self._scale) + 1
        grain, scale, share = self._grain, self._scale, self._anchor_share
        mean = sum(r.took for r in rows) / len(rows)
        a = [[0.0] * size for _ in range(size)]
        b = [0.0] * size
        weight = ANCHOR / (mean + grain) ** 2
        a[0][0] += weight
        b[0] += weight * self._anchor_share * mean
        # Errors count relative to what a run of that size should take, not to what it took: a reading of next to
        # nothing would outweigh all others.
        middle = sum(sum(r.sizes) for r in rows) / len(rows) or 1.0
        for row in rows:
            usual = mean * (share + (1 - share) * sum(row.sizes) / middle)
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


def below_normal(z: float) -> float:
    """Share of the normal distribution below so many standard deviations."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
