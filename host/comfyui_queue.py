"""ComfyUI's queue, hooked on the instance: the gate is asked before a prompt leaves it, and told how it ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..gate.host import Job, JobListener, NodeStart, Queued, Verdict
from ..reclaim.host import Place
from .comfyui_entry import QueueEntry
from .comfyui_items import id_of, job_of, outcome_of, take_out_of_turn
from .comfyui_original import Original
from .comfyui_requeue import Requeue
from .comfyui_worker import NodeFrame, calling_executor, calling_node

log = logging.getLogger(__name__)

MAX_NAP = 0.5
"""Seconds the worker sleeps at most between two questions, so that `/free` and new prompts are served meanwhile."""

HANDED_OVER = "holding prompts of another pack"
"""The feature that is limited where a pack has prompts of its own outside the queue."""

AT_ONCE = 0.001
"""Seconds that such a pack may wait for one. Not 0, which Usgromana takes for no limit."""

NEEDED = ("get", "task_done", "queue", "mutex", "not_empty", "currently_running")


class QueueHooks:
    """Wraps `get` and `task_done` of one `PromptQueue`, and `nodes.before_node_execution`.

    Everything of ours is contained: an error is logged once by place, the prompt goes on as without us.

    Args:
        queue: `PromptServer.instance.prompt_queue`.
        nodes_module: ComfyUI's `nodes`.
        between_prompts: called on the worker thread each time it asks for work, with the executor or None.
    """

    def __init__(self, queue: Any, nodes_module: Any, between_prompts: Callable[[Any, Job | None], None]) -> None:
        self._queue = queue
        self._nodes = nodes_module
        self._between_prompts = between_prompts
        self._listener: JobListener | None = None
        self._work: list[Callable[[Place], None]] = []
        self._work_lock = threading.Lock()
        self._again = threading.Event()
        self._requeue: Requeue | None = None
        self.entry: QueueEntry | None = None
        """Where prompts come in; None where this queue cannot be hooked."""
        self._task_done: Callable[..., Any] | None = None
        self._heard_of_ends = False
        self._told: set[str] = set()
        self.degraded: dict[str, str] = {}
        self.worker: threading.Thread | None = None
        self.node: NodeFrame | None = None
        """The node that is about to run or runs; None between prompts."""

    def install(self, listener: JobListener) -> None:
        """Wrap what is there; note in `degraded` what is not."""
        self._listener = listener
        missing = [name for name in NEEDED if not hasattr(self._queue, name)]
        if missing:
            self._degrade(
                "gate",
                f"this ComfyUI's queue ({type(self._queue).__name__}) has no {', '.join(missing)}: prompts are not "
                "held, memory is watched and freed on request only",
            )
        else:
            self.entry = QueueEntry(self._queue, self._accepted, self._removed, self._contain)
            self._requeue = Requeue(self._queue, self._nodes, self.entry.put, self._hears_of_ends)
            self.entry.install()
            self._requeue.hold_errors()
            self._wrap_get()
            self._wrap_task_done()
        if hasattr(self._nodes, "before_node_execution"):
            self._wrap_before_node()
        else:
            self._degrade("brake", "this ComfyUI has no nodes.before_node_execution: no look between nodes")

    def head(self) -> Job | None:
        """The prompt that would run next; None where there is none or the queue is not ours to look into."""
        if "gate" in self.degraded:
            return None
        with self._queue.mutex:
            return self._read(self._queue.queue[0]) if self._queue.queue else None

    def on_worker(self, work: Callable[[Place], None]) -> None:
        """Run `work` at the next boundary; at once where the worker idles. Any thread."""
        with self._work_lock:
            self._work.append(work)
        self.wake()

    def requeue(self, prompt_id: str) -> bool:
        """Interrupt a running prompt and put it back first in line; False where it does not run. Any thread."""
        return self._requeue is not None and self._requeue.ask(prompt_id)

    def wake(self) -> None:
        """Make the worker ask again. Any thread."""
        self._again.set()
        if "gate" not in self.degraded:
            with self._queue.mutex:
                self._queue.not_empty.notify()

    def _wrap_get(self) -> None:
        queue, original = self._queue, Original(self._queue, "get")

        def get(timeout: float | None = None) -> Any:
            self.worker = threading.current_thread()
            executor = calling_executor()
            while True:
                self._again.clear()
                owner = original.owner
                # Another pack may have prompts where we cannot see them: it is asked for them now and again.
                head = self._wait_for_head(timeout if owner is None else min(timeout or MAX_NAP, MAX_NAP))
                job = self._read(head)
                self._contain("between prompts", partial(self._between_prompts, executor, job))
                self._do_work(Place.BETWEEN_PROMPTS)
                if head is None:
                    self._contain("admission", self._tell_nothing_waits)
                    return None if owner is None else self._take_unseen(executor, original, owner)
                verdict = Verdict(True) if job is None else self._ask(job)
                if verdict.instead and (other := self._take_instead(executor, original, verdict.instead)) is not None:
                    return other
                if not verdict.start and not verdict.refused:
                    self._again.wait(min(max(verdict.again_in, 0.0), MAX_NAP))
                    return None
                with queue.mutex:
                    # Deleted, or another came in front, while we looked: that one has not been asked about.
                    still = bool(queue.queue) and queue.queue[0] is head
                    taken = original(timeout=0) if still else None
                if taken is None:
                    if still:  # another pack holds it back
                        self._again.wait(MAX_NAP)
                        return None
                    continue
                if taken[0] is not head:
                    return self._handed_over(executor, taken)
                if job is not None:
                    self._contain("started", partial(self._tell_started, job))
                if verdict.refused and self._refused(taken, verdict.reason):
                    return None
                return taken

        queue.get = get

    def _take_unseen(self, executor: Any, original: Original, owner: str) -> Any:
        """A prompt that another pack keeps elsewhere; None where it has none now.

        It leaves the queue with it and cannot be held here any more. Without this it would never be run.
        """
        with self._queue.mutex:
            taken = None if self._queue.queue else original(timeout=AT_ONCE)
        if taken is not None and HANDED_OVER not in self.degraded:
            self._degrade(HANDED_OVER, f"{owner} hands prompts over by itself, which start without being asked about")
        return None if taken is None else self._handed_over(executor, taken)

    def _handed_over(self, executor: Any, taken: Any) -> Any:
        """One that was not asked about has left the queue: it is told of, and runs."""
        if (job := self._read(taken[0])) is not None:
            self._contain("between prompts", partial(self._between_prompts, executor, job))
            self._contain("started", partial(self._tell_started, job))
        return taken

    def _take_instead(self, executor: Any, original: Callable[..., Any], prompt_id: str) -> Any:
        """Take this prompt though another is the next; None where it is not in the queue any more."""
        found = take_out_of_turn(self._queue, prompt_id, original, self._tell_once)
        return None if found is None else self._handed_over(executor, found)

    def _wait_for_head(self, timeout: float | None) -> Any | None:
        """The item that would leave next, or None after `timeout` seconds or a wake-up without one."""
        queue = self._queue
        with queue.not_empty:
            if not queue.queue and not self._work:
                queue.not_empty.wait(timeout)
            return queue.queue[0] if queue.queue else None

    def _read(self, item: Any | None) -> Job | None:
        """The item as a job; None where there is none, or a fork's has a shape that we cannot read."""
        try:
            return None if item is None else job_of(item)
        except Exception as error:  # noqa: BLE001 - what escapes here kills ComfyUI's worker thread
            self._tell_once("reading the queue", error)
            return None

    def _ask(self, job: Job) -> Verdict:
        listener = self._listener
        try:
            return listener.may_start(job) if listener is not None else Verdict(True)
        except Exception as error:  # noqa: BLE001 - what escapes here kills ComfyUI's worker thread
            self._tell_once("admission", error)
            return Verdict(True)

    def _refused(self, taken: Any, reason: str) -> bool:
        """End a prompt that the gate does not let run; False where that failed, and it runs all the same."""
        from .comfyui_refusal import refuse  # seldom needed, and not at ComfyUI's start

        try:
            refuse(self._queue, taken[0], taken[1], reason)
        except Exception as error:  # noqa: BLE001 - what escapes here kills ComfyUI's worker thread
            self._tell_once("refusing a prompt", error)
        return taken[1] not in self._queue.currently_running

    def _tell_nothing_waits(self) -> None:
        if self._listener is not None:
            self._listener.nothing_waits()

    def _tell_started(self, job: Job) -> None:
        if self._requeue is not None:
            self._requeue.started(job.id)
        if self._listener is not None:
            self._listener.started(job)

    def _accepted(self, prompt: Queued) -> None:
        if self._listener is not None:
            self._listener.accepted(prompt)

    def _removed(self, ids: Sequence[str]) -> None:
        if self._listener is not None:
            self._listener.removed(ids)

    def _wrap_task_done(self) -> None:
        queue, original = self._queue, Original(self._queue, "task_done")

        def task_done(item_id: Any, history_result: Any, *args: Any, **kwargs: Any) -> Any:
            self.node = None
            self._heard_of_ends = True
            status = kwargs.get("status", args[0] if args else None)
            prompt_id = id_of(queue.currently_running.get(item_id))
            if prompt_id is not None and self._goes_back(item_id, prompt_id, status):
                return None
            if prompt_id is not None:
                # Before the history shows it: who reads there that a prompt is done finds it in the journal, too.
                self._contain("end of prompt", partial(self._tell_ended, prompt_id, status))
            if self._requeue is not None:
                self._contain("telling an error", self._requeue.release)
            result = original(item_id, history_result, *args, **kwargs)
            if self._requeue is not None and prompt_id is not None:
                self._requeue.over(prompt_id)
            return result

        queue.task_done = self._task_done = task_done

    def _hears_of_ends(self) -> bool:
        """Whether ours is called at the end of a prompt: it stands there, or another pack was seen to call it."""
        return self._heard_of_ends or getattr(self._queue, "task_done", None) is self._task_done

    def _tell_ended(self, prompt_id: str, status: Any) -> None:
        if self._listener is not None:
            self._listener.ended(outcome_of(prompt_id, status))

    def _goes_back(self, item_id: Any, prompt_id: str, status: Any) -> bool:
        """Whether the prompt is not over, but first in line again."""
        listener, requeue = self._listener, self._requeue
        if listener is None or requeue is None:
            return False
        try:
            if requeue.was_asked(prompt_id, status):
                self._contain("putting back", partial(listener.put_back, prompt_id))
            else:
                outcome = outcome_of(prompt_id, status)
                if outcome.ok or not listener.retry(outcome):
                    return False
            requeue.take_back(item_id, listener.changed_graph(prompt_id))
            return True
        except Exception as error:  # noqa: BLE001 - then it ends as any other prompt
            self._tell_once("requeue", error)
            return False

    def _wrap_before_node(self) -> None:
        original = self._nodes.before_node_execution

        def before_node_execution() -> None:
            original()
            self._contain("brake", self._before_node)

        self._nodes.before_node_execution = before_node_execution

    def _before_node(self) -> None:
        found = calling_node()
        if found is None:
            return
        self.node, inputs = found
        if self._work:
            self._do_work(Place.BETWEEN_NODES)
        if self._listener is not None:
            node = self.node
            self._listener.before_node(NodeStart(node.prompt_id, node.node_id, node.class_type, inputs, node.runs))

    def _do_work(self, place: Place) -> None:
        with self._work_lock:
            work, self._work = self._work, []
        for one in work:
            self._contain("work on the worker thread", partial(one, place))

    def _contain(self, where: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - rule 1: nothing of ours raises into the worker thread
            self._tell_once(where, error)

    def _tell_once(self, where: str, error: Exception) -> None:
        if where not in self._told:
            self._told.add(where)
            self.degraded[where] = f"{type(error).__name__}: {error}"
            log.error("%s failed; prompts run on without it (told once)", where, exc_info=error)

    def _degrade(self, feature: str, reason: str) -> None:
        self.degraded[feature] = reason
        log.warning("%s is off: %s", feature, reason)
