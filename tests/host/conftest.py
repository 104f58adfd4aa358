"""ComfyUI's queue, worker loop and caches, as far as they are touched, in their own words (0.33.0)."""

from __future__ import annotations

import copy
import heapq
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from resource_gate.gate.host import Job, NodeStart, Outcome, Queued, Verdict
from resource_gate.host.comfyui_queue import QueueHooks


class PromptQueue:
    """`execution.PromptQueue`."""

    class ExecutionStatus(NamedTuple):
        status_str: str
        completed: bool
        messages: list[Any]

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.not_empty = threading.Condition(self.mutex)
        self.task_counter = 0
        self.queue: list[Any] = []
        self.currently_running: dict[int, Any] = {}
        self.history: dict[str, Any] = {}
        self.flags: dict[str, Any] = {}

    def put(self, item: Any) -> None:
        with self.mutex:
            heapq.heappush(self.queue, item)
            self.not_empty.notify()

    def get(self, timeout: float | None = None) -> Any:
        with self.not_empty:
            while len(self.queue) == 0:
                self.not_empty.wait(timeout=timeout)
                if timeout is not None and len(self.queue) == 0:
                    return None
            item = heapq.heappop(self.queue)
            i = self.task_counter
            self.currently_running[i] = copy.deepcopy(item)
            self.task_counter += 1
            return (item, i)

    def task_done(self, item_id: Any, history_result: Any, status: Any, process_item: Any = None) -> None:
        with self.mutex:
            prompt = self.currently_running.pop(item_id)
            if process_item is not None:
                prompt = process_item(prompt)
            self.history[prompt[1]] = {"prompt": prompt, "outputs": {}, "status": status}
            self.history[prompt[1]].update(history_result)

    def delete_queue_item(self, function: Callable[[Any], bool]) -> bool:
        with self.mutex:
            for x in range(len(self.queue)):
                if function(self.queue[x]):
                    if len(self.queue) == 1:
                        self.wipe_queue()
                    else:
                        self.queue.pop(x)
                        heapq.heapify(self.queue)
                    return True
        return False

    def wipe_queue(self) -> None:
        with self.mutex:
            self.queue = []

    def set_flag(self, name: str, data: Any) -> None:
        with self.mutex:
            self.flags[name] = data
            self.not_empty.notify()

    def get_flags(self, reset: bool = True) -> dict[str, Any]:
        with self.mutex:
            if reset:
                ret = self.flags
                self.flags = {}
                return ret
            return self.flags.copy()


class Recorder:
    """A listener that a test tells what to say, and that remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.outcomes: list[Outcome] = []
        self.nodes: list[NodeStart] = []
        self.asked = threading.Event()
        self.empty = False
        self.decide: Callable[[Job], Verdict] = lambda job: Verdict(True)
        self.again: Callable[[Outcome], bool] = lambda outcome: False
        self.accepted_prompts: list[Queued] = []
        self.removed_ids: list[str] = []
        self.failures: list[Outcome] = []
        self.put_back_ids: list[str] = []

    def accepted(self, prompt: Queued) -> None:
        self.accepted_prompts.append(prompt)

    def removed(self, ids: Sequence[str]) -> None:
        self.removed_ids += ids

    def changed_graph(self, job_id: str) -> None:
        return None

    def retry(self, outcome: Outcome) -> bool:
        self.failures.append(outcome)
        return self.again(outcome)

    def put_back(self, job_id: str) -> None:
        self.put_back_ids.append(job_id)

    def may_start(self, job: Job) -> Verdict:
        self.events.append(("may start", job.id))
        try:
            return self.decide(job)
        finally:
            self.asked.set()

    def nothing_waits(self) -> None:
        self.empty = True

    def started(self, job: Job) -> None:
        self.events.append(("started", job.id))

    def before_node(self, node: NodeStart) -> None:
        self.nodes.append(node)

    def ended(self, outcome: Outcome) -> None:
        self.events.append(("ended", outcome.job_id))
        self.outcomes.append(outcome)


class Server:
    """A queue, the fake `nodes` module, and ComfyUI's worker loop on a thread of its own."""

    def __init__(self, queue: Any = None, nodes: Any = None) -> None:
        self.queue = PromptQueue() if queue is None else queue
        self.interrupts_checked = 0
        self.nodes = SimpleNamespace(before_node_execution=self._check_interrupt) if nodes is None else nodes
        self.executor = SimpleNamespace(name="executor")
        self.listener = Recorder()
        self.boundaries: list[tuple[Any, str | None]] = []
        self.hooks = QueueHooks(self.queue, self.nodes, self._between_prompts)
        self.between_prompts: Callable[[Any, Job | None], None] = lambda executor, job: None
        self.executed: list[str] = []
        self.flags_seen: list[dict[str, Any]] = []
        self.run: Callable[[Any], tuple[bool, list[Any]]] = lambda item: (True, [])
        self.ran = threading.Semaphore(0)
        self.flagged = threading.Event()
        self._stopping = False
        self.thread = threading.Thread(target=prompt_worker, args=(self.queue, self), daemon=True)

    def start(self) -> Server:
        self.hooks.install(self.listener)
        self.thread.start()
        return self

    def stop(self) -> None:
        self._stopping = True
        self.listener.decide = lambda job: Verdict(False, again_in=0.01)
        self.queue.set_flag("stop", True)
        self.hooks.wake()
        if self.thread.ident is not None:
            self.thread.join(10)

    def put(self, name: str, number: float = 0, graph: Any = None, item: Any = None) -> None:
        self.queue.put(item or (number, name, graph or {}, {}, ["1"], {}))

    def wait_for(self, count: int = 1) -> None:
        """Until so many more prompts have run."""
        for _ in range(count):
            assert self.ran.acquire(timeout=10), f"only {self.executed} ran"

    @property
    def alive(self) -> bool:
        return self.thread.is_alive()

    def _between_prompts(self, executor: Any, job: Job | None) -> None:
        self.boundaries.append((executor, None if job is None else job.id))
        self.between_prompts(executor, job)

    def _check_interrupt(self) -> None:
        self.interrupts_checked += 1


def prompt_worker(q: Any, server: Server) -> None:
    """`main.prompt_worker`."""
    e = server.executor  # read from this frame by name
    while not server._stopping:
        queue_item = q.get(timeout=1000.0)
        if queue_item is not None:
            item, item_id = queue_item
            success, messages = server.run(item)
            server.executed.append(item[1])
            q.task_done(
                item_id,
                {"outputs": {"executor": e.name}},
                status=PromptQueue.ExecutionStatus("success" if success else "error", success, messages),
                process_item=lambda prompt: prompt[:5] + prompt[6:],
            )
            server.ran.release()
        flags = q.get_flags()
        if flags:
            server.flags_seen.append(flags)
            server.flagged.set()


@pytest.fixture
def server() -> Any:
    made = Server()
    yield made
    made.stop()


def execute(server: Server, node_id: str, kind: str, func: str = "run", **inputs: Any) -> None:
    """`execution.execute` down to `process_inputs`, with the names that are read from their frames."""

    def _async_map_node_over_list(func: str) -> None:
        def process_inputs(inputs: Any) -> None:
            server.nodes.before_node_execution()

        process_inputs(inputs)

    def execute(prompt_id: str, unique_id: str, class_type: str, execution_list: Any, pending_subgraph_results: Any):
        _async_map_node_over_list(func)

    execute("job", node_id, kind, "the list", {"7": []})


@pytest.fixture
def comfyui() -> Any:
    """The classes, for tests that put other things together."""
    return SimpleNamespace(PromptQueue=PromptQueue, Server=Server, Recorder=Recorder, execute=execute)
