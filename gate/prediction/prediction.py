"""Prediction as the gate uses it: features of what is queued, needs before the start, lessons after the end.

Whatever fails in here is logged once and told by `problem`; then nothing is predicted any more, and the gate goes by
its thresholds alone, as it would without any history.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ...monitor.readings import Sample
from ...settings import Settings
from ..attempt import AttemptNote
from ..brake import Brake
from ..host import Job, Outcome, Queued
from .dull import DullFamilies
from .family import WHOLE
from .features import Features, features_of
from .features_cache import FeaturesCache
from .history import OK, machine_id
from .history_file import HistoryFile
from .lesson import RunningJob, lesson_of, lesson_of_a_death
from .predict import Need, Predictor
from .view import view_of

log = logging.getLogger(__name__)

REMEMBERED = 2000
"""Queued prompts whose features are kept."""

LOOKED_THROUGH = 50
"""Queued prompts among which one that fits is looked for."""

SHORT = 1.0
"""Seconds of a run below which its lesson may wait for the sampler's next look before it is in the file."""

Result = TypeVar("Result")


def _degrading(nothing: Any) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """What fails turns prediction off, and returns `nothing`."""

    def around(method: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(method)
        def call(self: Prediction, *args: Any, **kwargs: Any) -> Result:
            if self.problem is not None:
                return nothing  # type: ignore[no-any-return]
            try:
                return method(self, *args, **kwargs)
            except Exception as error:
                self.problem = f"{type(error).__name__}: {error}; the gate goes by its thresholds alone"
                log.warning("prediction is off: %s", self.problem, exc_info=True)
                return nothing  # type: ignore[no-any-return]

        return call

    return around


class Prediction:
    """One process's. Any thread.

    Args:
        folder: where the history lies.
        gpus: names of the cards, which make the machine what it is, beside cores and RAM.
        most_ram: bytes that no run on this machine can exceed.
        model_bytes: size of a model file by its name in a graph; 0 where that is not known.
        died: whether an earlier process died with this job running, by the journal.
    """

    def __init__(
        self,
        folder: Path,
        settings: Callable[[], Settings],
        *,
        gpus: Callable[[], Sequence[str]] = tuple,
        most_ram: int = 2**46,
        model_bytes: Callable[[str], int] = lambda name: 0,
        died: Callable[[str], bool] = lambda job_id: True,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._gpus = gpus
        self._most_ram = most_ram
        self._model_bytes = model_bytes
        self._died = died
        self._clock = clock
        self._wall = wall
        self._features: OrderedDict[str, Features] = OrderedDict()
        self._running: RunningJob | None = None
        self._asked: tuple[str, Need] | None = None
        """The prompt whose need was asked for last: it is the one that starts next."""
        self._machine = ""
        self._attempt = AttemptNote(folder)
        self._dull = DullFamilies()
        self._read_before = FeaturesCache()
        self._needs: dict[tuple[str, tuple[float, ...]], Need] = {}
        """By family and sizes; another dictionary with all that is learned."""
        self._lock = threading.Lock()
        self.file = HistoryFile(folder, "")
        self.predictor = Predictor(model_bytes=model_bytes)
        self.problem: str | None = None
        """Why nothing is predicted; None where all is well."""

    @_degrading(None)
    def open(self) -> None:
        """Read what earlier processes have learned. Call once."""
        self._machine = machine_id(self._gpus())
        self.file = HistoryFile(self._folder, self._machine, self._most_ram)
        runs = self.file.load()
        left = self._attempt.left()
        if left is not None and left[1].machine == self._machine and self._died(left[0]):
            self.file.add(left[1])
            runs.append(left[1])
        self.predictor = Predictor(runs, self._model_bytes)

    # -- what the gate tells

    @_degrading(None)
    def queued(self, prompt: Queued) -> None:
        """A prompt was queued."""
        if self._settings().gate.predict:
            features = self._read_before.of(prompt)
            if features.size_nodes:
                self._read(prompt.id, prompt.graph, prompt.outputs)
            else:
                self._remember(prompt.id, features)

    @_degrading(None)
    def removed(self, ids: Sequence[str]) -> None:
        """Prompts were taken out of the queue."""
        with self._lock:
            for job_id in ids:
                self._features.pop(job_id, None)

    @_degrading(None)
    def started(self, job: Job) -> None:
        """A prompt has left the queue."""
        features = self._features.get(job.id) or self._read(job.id, job.graph, job.outputs)
        asked, self._asked = self._asked, None
        need = asked[1] if asked is not None and asked[0] == job.id else self._need_of(features)
        self._running = RunningJob(job, features, need, self._clock())

    @_degrading(None)
    def on_sample(self, sample: Sample) -> None:
        """Take note of the level that memory reaches in a job; made to be a listener of the sampler."""
        self.file.flush()
        if self._running is not None:
            reached = max((int(level) for name, level in sample.levels.items() if name == "ram"), default=0)
            self._running.level = max(self._running.level, reached)

    @_degrading(None)
    def ended(self, outcome: Outcome, brake: Brake, *, again: bool = False) -> None:
        """A prompt is over, or was stopped and runs `again`: learn from it."""
        running, self._running = self._running, None
        if running is None or running.job.id != outcome.job_id:
            return
        self._attempt.clear()
        if not again:
            with self._lock:
                self._features.pop(outcome.job_id, None)
        # At an error for want of memory ComfyUI unloads all models.
        if self.predictor.ran(running.features.models if outcome.ok else ()):
            self._needs = {}
        if self._settings().gate.predict and not self._teaches_nothing(running, outcome, brake):
            run = lesson_of(running, outcome, brake, self._clock())._replace(machine=self._machine, time=self._wall())
            if run.outcome == OK and run.share < WHOLE:
                return  # most of it came from the cache: what it took is not what it takes
            self.predictor.learn(run)
            self._needs = {}
            self.file.add(run, later=run.outcome == OK and run.seconds < SHORT and not run.sizes_chosen)

    @_degrading(None)
    def models_gone(self) -> None:
        """Models were dropped."""
        self.predictor.models_gone()
        self._needs = {}

    # -- what others ask

    @_degrading(None)
    def need(self, job: Job) -> Need | None:
        """What a waiting prompt will need; None where that is not to be asked."""
        if not self._settings().gate.predict:
            return None
        features = self._features.get(job.id) or self._read(job.id, job.graph, job.outputs)
        need = self._need_of(features)
        self._asked = job.id, need
        return need

    def foretell(self, graph: Mapping[str, Any], outputs: Sequence[str] = ()) -> Need | None:
        """What a graph that is not queued would need, as `queued` takes it; None where nothing is predicted.

        It comes from outside: what fails in here is that graph's fault, and turns nothing off.
        """
        if self.problem is not None or not self._settings().gate.predict:
            return None
        return self.predictor.need_of(self._features_of(graph, outputs))

    @_degrading(None)
    def fitting_frames(self, job: Job, room: float) -> int | None:
        """The most frames, 4n + 1, with which it would need no more than so many bytes; None where none would do."""
        features = self._features.get(job.id) or self._read(job.id, job.graph, job.outputs)

        def fits(frames: int) -> bool:
            part = frames / features.frames
            smaller = features._replace(**{n: getattr(features, n) * part for n in ("largest", "total", "work")})
            return self.predictor.need_of(smaller).ram <= room

        # More never need less, and somebody may have typed a few zeros too many: by halving.
        low, high = 0, (int(features.frames) - 2) // 4
        if high < 0 or not fits(1):
            return None
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(4 * middle + 1) else (low, middle - 1)
        return 4 * low + 1

    @_degrading("")
    def fitting_prompt(self, job: Job, room: float) -> str:
        """Id of the first other queued prompt known to need no more than so many bytes; empty where there is none."""
        with self._lock:
            queued = list(self._features.items())[:LOOKED_THROUGH]
        for job_id, features in queued:
            need = self.predictor.need_of(features) if job_id != job.id else None
            if need is not None and need.known and need.ram <= room:
                return job_id
        return ""

    @_degrading(None)
    def seconds(self, job_id: str) -> tuple[float, float, float] | None:
        """Mean, low and high of how long a queued or running prompt takes; None where its family is not known."""
        running = self._running
        if running is not None and running.job.id == job_id:
            need: Need = running.need
        elif (features := self._features.get(job_id)) is not None:
            need = self._need_of(features)
        else:
            return None
        return (need.seconds, need.low, need.high) if need.known else None

    @_degrading(None)
    def expected(self, job_id: str) -> int | None:
        """Bytes of RAM that the running prompt was expected to need; None where runs of its like say nothing."""
        running = self._running
        known = running is not None and running.job.id == job_id and running.need.known
        return running.need.ram if running is not None and known else None

    @property
    def running(self) -> RunningJob | None:
        """The running prompt."""
        return self._running

    @_degrading(None)
    def chosen(self, node_id: str, size: int) -> None:
        """A node of the running prompt has chosen a number of items; noted in case the process dies of it."""
        running = self._running
        if running is None or running.sizes.get(node_id) == size:
            return
        running.sizes[node_id] = size
        running.need = self.predictor.need_of(running.sized_features)
        lesson = lesson_of_a_death(running)._replace(machine=self._machine, time=self._wall())
        self._attempt.write(running.job.id, lesson)

    def close(self) -> None:
        """The process ends in an orderly way: what runs has not failed."""
        self._attempt.clear()
        self.file.flush()

    def forget(self, family: str) -> int:
        """Forget a family by the beginning of its id, or all with `*`; tells how many runs that were."""
        self.predictor.forget(family)
        self._needs = {}
        return self.file.forget(family)

    def exported(self) -> str:
        """All remembered runs, one line of JSON each."""
        return "".join(run.line() + "\n" for run in self.file.all())

    def view(self) -> dict[str, Any]:
        """What was learned, by family, and how right it was."""
        return {
            "machine": self._machine,
            "file": str(self.file.path),
            "problem": self.problem or self.file.problem,
            "passed_over": self.file.passed_over,
            "families": view_of(self.file.all(), self._machine),
        }

    # -- underneath

    def _features_of(self, graph: Mapping[str, Any], outputs: Sequence[str]) -> Features:
        features = features_of(graph, outputs)
        if features.size_nodes:  # what it will choose is not known yet: about what it chose last, not what is wanted
            went_well = [r.sizes_chosen for r in self.file.of(features.family) if r.outcome == OK and r.sizes_chosen]
            sizes = went_well[-1] if went_well else dict.fromkeys(features.size_nodes, 1)
            features = features_of(graph, outputs, sizes)
        return features

    def _read(self, job_id: str, graph: Mapping[str, Any], outputs: Sequence[str]) -> Features:
        features = self._features_of(graph, outputs)
        self._remember(job_id, features)
        return features

    def _remember(self, job_id: str, features: Features) -> None:
        with self._lock:
            self._features[job_id] = features
            while len(self._features) > REMEMBERED:
                self._features.popitem(last=False)

    def _need_of(self, features: Features) -> Need:
        needs, key = self._needs, (features.family, features.sizes)
        found = needs.get(key)
        if found is None:
            found = needs[key] = self.predictor.need_of(features)
        return found

    def _teaches_nothing(self, running: RunningJob, outcome: Outcome, brake: Brake) -> bool:
        if not outcome.ok or running.sizes or running.level:
            return False
        seconds = self._clock() - running.began
        return self._dull.passes_over(running.features.family, seconds, brake.meter.ram, brake.job_vram)
