"""Prompts that a machine which was cut off may still run, though their jobs went to others: called off when it is back.

What such a prompt makes counts for nothing: the lease under which it was given has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..runner.events import Tell, event
from ..runner.prompt import prompt_id
from .line import Open

CallOff = Callable[[str, int, Sequence[str]], None]
"""Has prompts cancelled at a machine's server: machine, job, prompt ids. The answer comes to `Strays.take`."""
GONE, ENDED = "gone", "ended"
"""What is told of such a prompt: it is off the server, or was not there; it had come to its end before."""


class Strays:
    """Those of one batch. One thread.

    Args:
        batch_id: as in the options.
        retries: further attempts that a machine may have made by itself, without anybody hearing of it.
        call_off: the way there; does not block.
    """

    def __init__(self, batch_id: str, retries: int, call_off: CallOff, tell: Tell) -> None:
        self._batch_id, self._retries, self._call_off, self._tell = batch_id, retries, call_off, tell
        self._at: dict[str, dict[int, Open]] = {}
        self._asked: dict[tuple[str, int], Open] = {}

    def given(self, job: Open, machine: str, attempt: int) -> int:
        """A job goes to `machine`; return the number of its first attempt there.

        Where its prompt is left from before it is found by its number; where it was called off it needs another one.
        """
        job.left_on.pop(machine, None)
        self._at.get(machine, {}).pop(job.job.index, None)
        for other in job.left_on:
            if self._at.setdefault(other, {}).setdefault(job.job.index, job) is job and other not in job.said:
                job.said.add(other)
                told = f"{other} may still be at it, and what it makes counts for nothing"
                self._tell(event("note", text=f"{job.job.name} goes to {machine}; {told}"))
        return max(attempt, job.called_off.get(machine, 0) + 1)

    def back(self, machine: str) -> None:
        """A machine answers: call off what it may have left of jobs that are not its own any more."""
        for index, job in self._at.pop(machine, {}).items():
            first = job.left_on.pop(machine, 0)
            if not first:
                continue
            last = first + self._retries
            job.called_off[machine] = last
            self._asked[machine, index] = job
            ids = [prompt_id(self._batch_id, job.job.key, number) for number in range(first, last + 1)]
            self._call_off(machine, index, ids)

    def take(self, machine: str, index: int, outcomes: Sequence[str] | None) -> None:
        """What became of them: `GONE` or `ENDED` each; None: it was not done, and is tried when it is seen again."""
        job = self._asked.pop((machine, index), None)
        if job is None:
            return
        if outcomes is None:
            if job.machine != machine:
                job.left_on[machine] = max(1, job.called_off.pop(machine, 1) - self._retries)
                self._at.setdefault(machine, {})[index] = job
            return
        what = "had done it, too: that is thrown away" if ENDED in outcomes else "is not at it any more"
        self._tell(event("note", text=f"{machine} is back: {job.job.name} went elsewhere meanwhile, and it {what}"))
