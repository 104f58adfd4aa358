"""What a prompt will need before it starts: peak RAM and VRAM above what is there without it, and how long it takes.

No training step: each run moves the line of its family by a few hundred multiplications. Importable without ComfyUI.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .eta import Pace, Sums
from .family import RAM_GRAIN, TIME_GRAIN, WHOLE, Family
from .features import CHANNELS, FLOAT, Features, features_of, likeness
from .fit import DECAY, Fit, Row
from .history import OK, Run
from .history_file import FAMILIES
from .kind_needs import KindNeeds, KindsNeed

SELDOM = 0.06
"""Share of runs that take less than the low end of a need."""

INTERVAL = 0.8
"""Share of runs whose duration shall lie within `low` and `high`."""

PACE = 0.25
"""Weight of the newest run in how fast the machine is now against what the lines say: other work on it comes and goes
faster than they follow."""

STRETCH = 0.1
"""By how much intervals grow or shrink with each run, so that as many runs end within them as are meant to."""

STRETCHED = 4.0
"""Times wider or narrower at most."""

PACE_LIMIT = 4.0
"""Times slower or faster that a single run is taken to have been at most."""

SIMILAR = 0.5
"""`likeness` from which a family lends its runs to one that was never seen."""

LENT = 1.2
"""On what is lent."""

TENSORS = 2.5
"""Peak of a prompt that was never seen, in sizes of the tensors its nodes make: of core nodes' clips 1.1–2.2 were
measured, and a node that holds its input, its output and a copy between takes 3 of its own."""

UNKNOWN_BYTES = 256 * 1024**2
"""And at least so much: libraries that the first run loads."""

GUESSED = 0.5
"""Share of what node kinds are said to take up to which they are asked: the rest is of kinds that were never seen."""

OTHERWISE = 4.0
"""A run that took so many times more or less than its node kinds said tells nothing of how right they are."""

COMPARED = 48
"""Runs of all families by which it is known how right node kinds are, the newest."""

SMALL = 64 * 1024**2
"""Bytes of arithmetic below which runs say nothing of how a family grows: such clips find room in what the process
already holds, and their peaks are those of libraries."""

FAR = 2.0
"""Times the largest run of a family from which one that was only seen so small counts as never seen."""

ON_THE_HEAP = 8 * 1024**2
"""Bytes of the largest tensor of a prompt up to which all that it takes comes from inside the heap: glibc maps blocks
of more than 32 MB anew each time (mallopt(3), DEFAULT_MMAP_THRESHOLD_MAX), and a node may make a few times its output.
"""

SECONDS_A_GIGAPIXEL = 20.0
"""Of a prompt that was never seen, for its clips' scaling and encoding: two cores took about 15."""


class Need(NamedTuple):
    """What a prompt is expected to take.

    Attributes:
        ram, vram: bytes above what is used without it that are enough; VRAM on one card. Where the margin on them is,
            is chosen by what it costs to be wrong (`Fit.quantile`): about one run of twenty takes more.
        seconds: the mean.
        low, high: seconds between which `INTERVAL` of its like end.
        known: whether runs of its own family say so; else it is arithmetic, or lent from a similar family.
        ram_mean, ram_low: bytes in the mean, and those that all but `SELDOM` of its like exceed.
        lean, lean_low: the same as `ram` and `ram_low`, had all been dropped before each node that no later one needed:
            what it can be brought down to.
        confirmed: whether a run of this process has borne out what is known of the family.
        runs: how many runs say so.
        by_kinds: bytes of RAM by what its node kinds were seen to take in other families; 0 where that is not known.
        small: whether it is all of small blocks, which find room in what lies free inside the heap.
    """

    ram: int
    vram: int
    seconds: float
    low: float
    high: float
    known: bool
    ram_mean: int = 0
    ram_low: int = 0
    confirmed: bool = False
    runs: int = 0
    lean: int = 0
    lean_low: int = 0
    small: bool = False
    by_kinds: int = 0


class Predictor:
    """Learns from runs and tells what the next one will need. Any thread.

    Args:
        runs: of earlier processes on this machine, oldest first.
        model_bytes: size of a model file by its name in a graph; 0 where that is not known.
    """

    def __init__(self, runs: Iterable[Run] = (), model_bytes: Callable[[str], int] = lambda name: 0) -> None:
        self._lock = threading.Lock()
        self._families: OrderedDict[str, Family] = OrderedDict()
        self._warm: tuple[str, ...] = ()
        """The models of the prompt that ran last."""
        self._pace = 0.0
        """Logarithm of the factor."""
        self._stretch = 1.0
        """By how much intervals are wider than the lines say, so that they cover what they are to cover."""
        self._sums = Sums()
        self._kinds = KindNeeds(model_bytes)
        self._by_kinds: deque[Row] = deque(maxlen=COMPARED)
        """What runs took, against what their node kinds said before."""
        for run in runs:
            self._family(run.family).load(run)
            self._learn_kinds(run, hearsay=True)

    def need(
        self,
        graph: Mapping[str, Any],
        outputs: Sequence[str] = (),
        *,
        sizes: Mapping[str, int] | None = None,
        share: float | None = None,
    ) -> Need:
        """What a graph in API format will need; `sizes` and `outputs` as `features_of` takes them."""
        return self.need_of(features_of(graph, outputs, sizes), share=share)

    def need_of(self, features: Features, *, cold: bool | None = None, share: float | None = None) -> Need:
        """The same of a prompt whose features are known.

        Args:
            cold: whether its models have to be loaded; None: as far as that is known.
            share: of runs that shall need no more than `ram` and `vram`; None: by what it costs to be wrong.
        """
        with self._lock:
            if cold is None:
                cold = bool(features.loaders) and features.models != self._warm
            family = self._families.get(features.family)
            pace = math.exp(self._pace)
            kinds = self._kinds.need(features, cold) if features.steps else None
            by_kinds = kinds.ram if kinds is not None else 0
            if family is not None and family.runs:
                told = _told(family, features.sizes, cold, share, 1.0, pace, self._stretch, known=True)
                told = told._replace(by_kinds=by_kinds)
                if _is_far(features, family):
                    return _told_from_afar(told, features, family)
                small = not features.models and 0 < features.largest * CHANNELS * FLOAT <= ON_THE_HEAP
                return told._replace(small=True) if small else told
            like = self._most_like(features)
            lent = unknown_need(features)
            if like is not None:
                lent = _told(like, features.sizes, cold, share, LENT, pace, self._stretch, known=False)
            if kinds is not None and kinds.weights_known and kinds.guessed <= GUESSED * kinds.ram and self._by_kinds:
                ram = self._by_kinds_need(features, kinds, cold, share)
                return lent._replace(ram=ram, ram_mean=by_kinds, ram_low=0, lean=ram, lean_low=0, by_kinds=by_kinds)
            if like is not None:
                return lent._replace(by_kinds=by_kinds)
            # Weights cannot be read off a graph: models that nobody has seen are taken to be as large as the largest.
            most = max((f.most_ram for f in self._families.values()), default=0) if features.models else 0
        return lent._replace(ram=max(lent.ram, int(most * LENT)), by_kinds=by_kinds)

    def _by_kinds_need(self, features: Features, kinds: KindsNeed, cold: bool, share: float | None) -> int:
        """Bytes, with the margin that fits how right node kinds were of all families."""
        newest = len(self._by_kinds) - 1
        rows = [row._replace(weight=DECAY ** (newest - i)) for i, row in enumerate(self._by_kinds)]
        ram = max(kinds.ram, int(Fit(rows, RAM_GRAIN, steady=True).quantile((kinds.ram,), share)))
        return ram if not cold or self._kinds.has_loaded(features) else ram + UNKNOWN_BYTES

    def _learn_kinds(self, run: Run, *, hearsay: bool = False) -> None:
        self._kinds.learn(run, hearsay=hearsay)
        close = run.by_kinds < OTHERWISE * run.ram and run.ram < OTHERWISE * run.by_kinds
        if close and run.outcome == OK and run.share >= WHOLE:
            self._by_kinds.append(Row((float(run.by_kinds),), float(run.ram)))

    def learn(self, run: Run) -> None:
        """Take in a run of this process."""
        with self._lock:
            family = self._family(run.family)
            self._keep_pace(family, run)
            family.learn(run)
            self._learn_kinds(run)
            self._warm = run.models

    def _keep_pace(self, family: Family, run: Run) -> None:
        times = family.fit("seconds", run.cold) if run.outcome == OK and run.share >= WHOLE else None
        if times is None or not family.confirmed:
            return
        _, low, high = _interval(times, run.sizes, math.exp(self._pace), self._stretch)
        # Outside four times as much as inside: then four of five are inside.
        self._stretch *= 1 - STRETCH * (1 - INTERVAL) if low <= run.seconds <= high else 1 + STRETCH * INTERVAL
        self._stretch = min(STRETCHED, max(1 / STRETCHED, self._stretch))
        expected = max(0.0, times.mean(run.sizes))
        self._sums.learn(expected, math.exp(self._pace), run.seconds)
        factor = min(PACE_LIMIT, max(1 / PACE_LIMIT, (run.seconds + TIME_GRAIN) / (expected + TIME_GRAIN)))
        self._pace += PACE * (math.log(factor) - self._pace)

    @property
    def pace(self) -> Pace:
        """How fast the machine was in the last runs, against what is known of their families, and how far off sums."""
        with self._lock:
            return Pace(math.exp(self._pace), self._sums.ends)

    def ran(self, models: tuple[str, ...]) -> bool:
        """A prompt with these models has run; whether others are loaded now than before.

        Those of the prompt before it are gone: what loaded them is an output that this prompt has no use for, and all
        of ComfyUI's caches but `--cache-lru` drop those with the next prompt.
        """
        with self._lock:
            before, self._warm = self._warm, models
            return before != models

    def models_gone(self) -> None:
        """Models were dropped: the next run of any family loads its own again."""
        with self._lock:
            self._warm = ()

    def forget(self, family: str) -> None:
        """Forget a family by the beginning of its id, or all with `*`."""
        with self._lock:
            for name in [n for n in self._families if family == "*" or (family and n.startswith(family))]:
                del self._families[name]

    def _family(self, name: str) -> Family:
        family = self._families.setdefault(name, Family())
        self._families.move_to_end(name)
        while len(self._families) > FAMILIES:
            self._families.popitem(last=False)
        return family

    def _most_like(self, features: Features) -> Family | None:
        best, found = SIMILAR, None
        for family in self._families.values():
            if family.last is not None and family.runs:
                alike = likeness(features, family.last.kinds, family.last.models)
                if alike >= best:
                    best, found = alike, family
        return found


def _is_far(features: Features, family: Family) -> bool:
    """Whether a prompt is much larger than all runs of its family, and those were too small to say how it grows."""
    most = max(run.sizes[1] for run in family.runs) * CHANNELS * FLOAT
    return most < SMALL < features.arithmetic and features.arithmetic > FAR * most


def _told_from_afar(told: Need, features: Features, family: Family) -> Need:
    """Its tensors, on top of what the small ones took."""
    ram = int(family.most_ram + features.arithmetic * TENSORS)
    return told._replace(ram=ram, ram_mean=ram // 2, ram_low=0, lean=ram, lean_low=0, known=False)


def unknown_need(features: Features) -> Need:
    """By tensor arithmetic alone."""
    ram = int(features.arithmetic * TENSORS + UNKNOWN_BYTES)
    seconds = features.total / 1e9 * SECONDS_A_GIGAPIXEL
    return Need(ram, 0, seconds, seconds / 4, seconds * 4, False, ram // 2, 0, lean=ram)


def _interval(times: Fit, sizes: Sequence[float], pace: float, stretch: float) -> tuple[float, float, float]:
    """Seconds: the mean, and the ends of the interval."""
    mean = max(0.0, times.mean(sizes))
    low, high = (times.quantile(sizes, q) for q in ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2))
    return mean * pace, max(0.0, mean - (mean - low) * stretch) * pace, (mean + (high - mean) * stretch) * pace


def _told(
    family: Family,
    sizes: Sequence[float],
    cold: bool,
    share: float | None,
    factor: float,
    pace: float,
    stretch: float,
    *,
    known: bool,
) -> Need:
    ram, lean, vram, times = (family.fit(quantity, cold) for quantity in ("ram", "lean", "vram", "seconds"))
    if ram is None or lean is None:  # never: a family with runs has these
        return Need(0, 0, 0.0, 0.0, 0.0, False)
    seconds, low, high = (0.0, 0.0, 0.0) if times is None else _interval(times, sizes, pace, stretch)
    return Need(
        int(ram.quantile(sizes, share) * factor),
        int(vram.quantile(sizes, share) * factor) if vram is not None else 0,
        seconds,
        low / factor,
        high * factor,
        known,
        int(max(0.0, ram.mean(sizes))),
        int(ram.quantile(sizes, SELDOM)),
        family.confirmed,
        len(family.runs),
        int(lean.quantile(sizes, share) * factor),
        int(lean.quantile(sizes, SELDOM)),
    )
