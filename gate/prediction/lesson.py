"""What a job that has ended teaches."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..brake import Brake
from ..host import Job, Outcome
from ..retry import ErrorKind, classify
from .features import Features, features_of
from .history import DIED, FAILED, MEMORY, OK, PRESSED, Run
from .predict import Need


@dataclass(eq=False)
class RunningJob:
    """A prompt while it runs; another try of it is another one.

    Attributes:
        need: what was expected of it.
        began: seconds on the clock.
        level: the highest level that memory reached, 0–3.
        sizes: number of items by id of the node that chose it.
    """

    job: Job
    features: Features
    need: Need
    began: float
    level: int = 0
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def sized_features(self) -> Features:
        """Its features with the sizes that were chosen."""
        return features_of(self.job.graph, self.job.outputs, self.sizes) if self.sizes else self.features


def lesson_of(running: RunningJob, outcome: Outcome, brake: Brake, now: float) -> Run:
    """The run of a job that has ended, as the brake has measured it; `machine` and `time` are left to the caller."""
    features, need, meter = running.sized_features, running.need, brake.meter
    made = sum(pixels for node_id, pixels in features.makers.items() if node_id in brake.ran)
    all_of_it = sum(features.makers.values())
    ram = max(0, meter.ram)
    return Run(
        family=features.family,
        sizes=features.sizes,
        ram=ram,
        vram=max(0, brake.job_vram),
        seconds=now - running.began,
        cold=bool(features.loaders & brake.ran),
        share=made / all_of_it if all_of_it else min(1.0, len(brake.ran) / max(1, len(running.job.graph))),
        outcome=_outcome(outcome),
        level=running.level,
        lean=min(ram, max(0, meter.lean)),
        expected=(need.ram, need.vram, need.seconds, need.low, need.high) if need.known else (),
        nodes=dict(meter.nodes),
        sizes_chosen=dict(running.sizes),
        kinds=features.kinds,
        models=features.models,
    )


def lesson_of_a_death(running: RunningJob) -> Run:
    """What to learn if the process dies of it: the sizes were too many, and it took at least what was expected."""
    features = running.sized_features
    return Run(
        family=features.family,
        sizes=features.sizes,
        ram=running.need.ram_mean,
        vram=0,
        seconds=0.0,
        outcome=DIED,
        sizes_chosen=dict(running.sizes),
        kinds=features.kinds,
        models=features.models,
    )


def _outcome(outcome: Outcome) -> str:
    if outcome.ok:
        return OK
    if outcome.error_type == PRESSED:
        return PRESSED
    lacked = classify(outcome.error_type, outcome.error) in (ErrorKind.MEMORY, ErrorKind.DEVICE_MEMORY)
    return MEMORY if lacked else FAILED
