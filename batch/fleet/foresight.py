"""What the machines' own servers foretell of jobs: they have run such workflows for longer than this batch."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...gate.prediction.features import features_of
from ..joblist.job import Job

AT_ONCE = 32
"""Questions to one server that have no answer yet: it takes some tens a second."""
HOLD = 3.0
"""Seconds that a job is kept from a machine whose server was asked and has not answered; then what the batch itself
has learned must do."""
SETTLED = 12
"""Jobs of a kind after which a server's lines move little (`gate.predict_family`); until then it is asked at each."""
SELDOM = 8
"""Jobs of a kind between two questions after that."""
KEPT = 1024
"""Jobs whose kind and size are kept, and answers of each machine."""

Ask = Callable[[str, str, Mapping[str, Any]], None]
"""Has a machine's server asked what a graph would need: machine, key, graph. The answer comes to `Foresight.take`."""


@dataclass
class _Answer:
    asked: float
    """On the steady clock."""
    done: int
    """Jobs of that kind that the machine had done when it was asked."""
    pending: bool = True
    ram: int | None = None
    lean: int = 0


class Foresight:
    """Asks, and keeps the answers. One thread.

    Args:
        ask: the way there; does not block.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._kinds: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """Job → its family, and key of the question, which is the same for jobs of one family and size."""
        self._answers: dict[str, OrderedDict[str, _Answer]] = {}
        self._done: Counter[tuple[str, str]] = Counter()

    def ask(self, jobs: Iterable[Job], machines: Collection[str], now: float) -> None:
        """Ask these machines of what is not known of these jobs, the first ones first."""
        free = {name: AT_ONCE - sum(a.pending for a in self._of(name).values()) for name in machines}
        for job in jobs:
            family, key = self._kind(job)
            for name in machines:
                if free[name] > 0 and self._is_due(name, family, key, now):
                    free[name] -= 1
                    before = self._of(name).get(key)
                    ram, lean = (before.ram, before.lean) if before is not None else (None, 0)
                    self._of(name)[key] = _Answer(now, self._done[name, family], True, ram, lean)
                    self._ask(name, key, job.graph)

    def take(self, machine: str, key: str, need: Mapping[str, Any] | None) -> None:
        """A server has answered; None: it foretells nothing, or could not be asked."""
        answer = self._of(machine).get(key)
        if answer is None:
            return
        answer.pending = False
        try:
            known = need is not None and need["known"] is True and int(need["ram"]) > 0
            answer.ram, answer.lean = (int(need["ram"]), int(need["lean"])) if known and need else (None, 0)
        except (KeyError, TypeError, ValueError):  # of another version
            answer.ram = None

    def did(self, machine: str, job: Job) -> None:
        """That machine has done that job: its server has learned."""
        self._done[machine, self._kind(job)[0]] += 1

    def need(self, job: Job, machine: str) -> tuple[int, int] | None:
        """Bytes above its rest that the job takes by that machine's own runs, and that it can be brought down to."""
        answer = self._of(machine).get(self._kind(job)[1])
        return None if answer is None or answer.ram is None else (answer.ram, answer.lean)

    def is_awaited(self, job: Job, machine: str, now: float) -> bool:
        """Whether an answer is to be expected at any moment, and there was none before."""
        answer = self._of(machine).get(self._kind(job)[1])
        return answer is not None and answer.pending and answer.ram is None and now - answer.asked < HOLD

    def _of(self, machine: str) -> OrderedDict[str, _Answer]:
        answers = self._answers.setdefault(machine, OrderedDict())
        while len(answers) > KEPT:
            answers.popitem(last=False)
        return answers

    def _is_due(self, machine: str, family: str, key: str, now: float) -> bool:
        answer = self._of(machine).get(key)
        if answer is None:
            return True
        if answer.pending:
            return now - answer.asked > 10 * HOLD
        since = self._done[machine, family] - answer.done
        return since > 0 and (self._done[machine, family] <= SETTLED or since >= SELDOM)

    def _kind(self, job: Job) -> tuple[str, str]:
        known = self._kinds.get(job.key)
        if known is None:
            features = features_of(job.graph)
            known = features.family, f"{features.family} {features.sizes}"
            self._kinds[job.key] = known
            if len(self._kinds) > KEPT:
                self._kinds.popitem(last=False)
        return known
