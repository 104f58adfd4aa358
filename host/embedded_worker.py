"""The thread that runs prompts: it asks the listener first, and contains whatever the listener raises."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ..gate.host import Job, JobListener, NodeStart, Outcome, Verdict
from ..reclaim.host import Place
from .embedded_queue import Ended, Item, PromptQueue

log = logging.getLogger(__name__)

MAX_NAP = 5.0
"""Seconds between two questions whether a waiting prompt may start, whatever the listener asked for."""

MIN_NAP = 0.01
"""A listener that says "again in 0 s" must not make the thread spin."""


REFUSED = "ResourceGateRefused"
"""The type of the error of a prompt that the listener did not let run."""


class Worker:
    """Takes prompts from the queue, one at a time.

    Args:
        run: runs an item to its end; may raise nothing.
        over: called when it is sure that the item is over, before the history shows it.
        after: called when the item is in the history.
    """

    def __init__(
        self,
        queue: PromptQueue,
        run: Callable[[Item], tuple[Outcome, Ended]],
        over: Callable[[Item, Ended], None],
        after: Callable[[Item], None],
    ) -> None:
        self._queue = queue
        self._run = run
        self._over = over
        self._after = after
        self._listener: JobListener | None = None
        self._work: deque[Callable[[Place], None]] = deque()
        self._signal = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        queue.accepted, queue.removed = self._accepted, self._removed
        self.degraded: dict[str, str] = {}
        """Where something of the listener failed → what it was."""

    def attach(self, listener: JobListener) -> None:
        """From now on ask `listener`, and no other."""
        self._listener = listener
        self.wake()

    def start(self) -> None:
        """Start the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="embedded-prompt-worker", daemon=True)
            self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End the thread, the running prompt interrupted; tells whether it ended in time."""
        self._stopping = True
        self._queue.interrupt()
        self.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self.alive

    @property
    def alive(self) -> bool | None:
        """Whether the thread lives; None before it was started."""
        return None if self._thread is None else self._thread.is_alive()

    def wake(self) -> None:
        """Look at the queue and ask the listener now. Any thread."""
        self._signal.set()

    def on_worker(self, work: Callable[[Place], None]) -> None:
        """Call `work` on this thread at the next boundary; at once where it idles. Any thread."""
        self._work.append(work)
        self._signal.set()

    def before_node(self, node: NodeStart) -> None:
        """The boundary between two nodes. On this thread."""
        self._do_work(Place.BETWEEN_NODES)
        if self._listener is not None:
            self._contain("brake", self._listener.before_node, node)

    def _loop(self) -> None:
        while not self._stopping:
            # Cleared before anything is looked at: what comes while we look wakes us from the next sleep.
            self._signal.clear()
            self._do_work(Place.BETWEEN_PROMPTS)
            item = self._queue.head()
            if item is None:
                if self._listener is not None:
                    self._contain("admission", lambda listener: listener.nothing_waits(), self._listener)
                self._signal.wait()
                continue
            verdict = self._may_start(item.job)
            if verdict.refused:
                if self._queue.take(item):
                    self._refuse(item, verdict.reason)
            elif verdict.instead and (other := self._queue.move_up(verdict.instead)) is not None:
                if not self._stopping and self._queue.take(other):
                    self._run_item(other)
            elif not verdict.start:
                self._signal.wait(min(max(verdict.again_in, MIN_NAP), MAX_NAP))
            elif not self._stopping and self._queue.take(item):
                self._run_item(item)

    def _run_item(self, item: Item) -> None:
        listener = self._listener
        if listener is not None:
            self._contain("started", listener.started, item.job)
        if self._stopping:
            self._queue.interrupt()
        outcome, ended = self._run(item)
        if self._goes_back(outcome):
            self._queue.back_in_line()
            return
        if listener is not None and not (self._stopping and outcome.error_type == "interrupted"):
            # Before the history shows it: who reads there that a job is done must find it in the journal, too.
            # One that we stop ourselves, to end the process, has not come to its end: it is restored at the next start.
            self._contain("end of prompt", listener.ended, outcome)
        self._over(item, ended)
        self._queue.done(ended)
        self._after(item)

    def _refuse(self, item: Item, reason: str) -> None:
        """End a prompt that the listener does not let run, as if its first output node had failed."""
        node_id = item.prompt.targets[0]
        text = f"Resource Gate: this prompt {reason}"
        error = {
            "prompt_id": item.id,
            "node_id": node_id,
            "node_type": item.prompt.graph[node_id]["class_type"],
            "executed": [],
            "exception_message": f"{text}\n",
            "exception_type": REFUSED,
            "traceback": [],
            "current_inputs": {},
            "current_outputs": [],
        }
        ended = Ended({}, False, [("execution_start", {"prompt_id": item.id}), ("execution_error", error)])
        if self._listener is not None:
            self._contain("started", self._listener.started, item.job)
            self._contain("end of prompt", self._listener.ended, Outcome(item.id, False, REFUSED, text, node_id))
        self._over(item, ended)
        self._queue.done(ended)
        self._after(item)

    def _goes_back(self, outcome: Outcome) -> bool:
        """Whether the prompt is not over, but first in line again."""
        listener = self._listener
        if outcome.error_type == "interrupted" and self._queue.put_back:
            if listener is not None:
                self._contain("putting back", listener.put_back, outcome.job_id)
            return True
        if outcome.ok or listener is None or self._stopping:
            return False
        return self._contain("retry", listener.retry, outcome) is True

    def _accepted(self, item: Item) -> None:
        if self._listener is not None:
            self._contain("journal of queued prompts", self._listener.accepted, item.queued)

    def _removed(self, ids: list[str]) -> None:
        if self._listener is not None:
            self._contain("journal of removed prompts", self._listener.removed, ids)

    def _may_start(self, job: Job) -> Verdict:
        if self._listener is None:
            return Verdict(True)
        verdict = self._contain("admission", self._listener.may_start, job)
        return verdict if isinstance(verdict, Verdict) else Verdict(True)

    def _do_work(self, place: Place) -> None:
        for _ in range(len(self._work)):  # not what the work itself adds: that waits for the next boundary
            self._contain("work on the worker thread", self._work.popleft(), place)

    def _contain(self, where: str, call: Callable[[Any], Any], argument: Any) -> Any:
        try:
            return call(argument)
        except Exception as error:  # rule 1: nothing of ours ends the worker thread
            if where not in self.degraded:
                self.degraded[where] = f"{type(error).__name__}: {error}"
                log.error("%s failed; prompts run on without it (told once)", where, exc_info=error)
            return None
