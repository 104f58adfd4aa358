"""What a job that has ended teaches."""

from __future__ import annotations

from collections.abc import Container

from ..brake import Brake
from ..host import Job, Outcome
from ..retry import ErrorKind, classify
from .features import Features, features_of
from .history import DIED, FAILED, KEPT_KINDS, MEMORY, OK, PRESSED, Run
from .predict import Need


class RunningJob:
    """A prompt while it runs; another try of it is another one.

    Attributes:
        need: what was expected of it.
        began: seconds on the clock.
        level: the highest level that memory reached, 0–3.
        sizes: number of items by id of the node that chose it.
    """

    def __init__(self, job: Job, features: Features, need: Need, began: float) -> None:
        self.job = job
        self.features = features
        self.need = need
        self.began = began
        self.level = 0
        self.sizes: dict[str, int] = {}

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
        pixels=pixels_by_kind(features, brake.ran),
        by_kinds=need.by_kinds,
        sizes_chosen=dict(running.sizes),
        kinds=features.kinds,
        models=features.models,
    )


def pixels_by_kind(features: Features, ran: Container[str]) -> dict[str, float]:
    """As `Run.pixels`: what the nodes handed on that ran, of each kind its largest."""
    most: dict[str, float] = {}
    for step in features.steps:
        if step.id in ran:
            most[step.kind] = max(step.pixels, most.get(step.kind, 0.0))
    return dict(sorted(most.items(), key=lambda one: (one[1] > 0, -one[1]))[:KEPT_KINDS])


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
