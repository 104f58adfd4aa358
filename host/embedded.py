"""The rooms of Resource Gate with no ComfyUI: a small in-process queue whose jobs are real clips.

`python -m resource_gate.host.embedded --port 8188 --base-directory somewhere` serves it.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import ChainMap
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping, Sequence, Set
from pathlib import Path
from typing import Any

from aiohttp import web

from ..gate.host import JobListener, Outcome, Queued, QueueView
from ..monitor.readings import GpuReading
from ..reclaim.host import CachedOutput, Place
from ..version import __version__
from .embedded_cache import OutputCache
from .embedded_files import Folders
from .embedded_graph import CheckedPrompt, PromptRefused, checked, order_of, problem
from .embedded_kinds import NodeKind
from .embedded_nodes import NODES
from .embedded_queue import Ended, Item, PromptQueue, is_prompt_id
from .embedded_run import Execution
from .embedded_worker import Worker
from .no_models import NoModels
from .temp_names import TempNames

log = logging.getLogger(__name__)

Sink = Callable[[str, Mapping[str, Any], "str | None"], None]
"""Takes an event: its name, its data, and the client it is for (None: all). Called on any thread; must not block."""

STOP_TIMEOUT = 10.0
"""Seconds for the worker to leave a node when the host stops; a frame of ours takes far less."""


class EmbeddedHost(NoModels):
    """Implements `MemoryHost` and `QueueHost`.

    Args:
        base: holds `input`, `output`, `temp` and `user`, which are made where they are missing.
        nodes: the kinds of nodes it knows; None for `embedded_nodes.NODES`. `nodes` of this object takes more.

    Raises:
        OSError: the folders cannot be made.
    """

    name = "embedded"

    def __init__(self, base: Path, nodes: Mapping[str, NodeKind] | None = None) -> None:
        self.version = __version__
        self.folders = Folders(base)
        self.nodes: MutableMapping[str, NodeKind] = ChainMap({}, dict(nodes) if nodes is not None else NODES)
        self.queue = PromptQueue(self._queue_changed)
        self.routes = web.RouteTableDef()
        """Taken over by the server when it starts, plain and under `/api`."""
        self.on_disk: Callable[[], Awaitable[None]] | None = None
        """Awaited by the server before it answers a `POST prompt`."""
        self._sinks: list[Sink] = []
        self._cache = OutputCache()
        self._execution: Execution | None = None
        self._began = 0.0
        self._worker = Worker(self.queue, self._run, self._over, self._after)

    def start(self) -> None:
        """Start the thread that runs prompts."""
        self._worker.start()

    def stop(self, timeout: float = STOP_TIMEOUT) -> bool:
        """Interrupt what runs and end the thread; tells whether it ended in time. What waits is forgotten."""
        return self._worker.stop(timeout)

    def listen(self, sink: Sink) -> None:
        """Hand every later event to `sink`."""
        self._sinks.append(sink)

    def submit(
        self,
        graph: Any,
        *,
        prompt_id: str | None = None,
        client_id: str | None = None,
        number: float | None = None,
        front: bool = False,
        extra_data: Mapping[str, Any] | None = None,
        only: Collection[str] | None = None,
    ) -> Item:
        """Queue a graph in API format; the item tells its id, number and what of it cannot be run.

        Args:
            prompt_id: a UUID in canonical form; one is made otherwise.
            client_id: whose WebSocket hears of it.
            number: place in the queue, lower first; None: last, or first where `front`.
            only: output nodes to run; None: all.

        Raises:
            PromptRefused: nothing of it can be run, or the id is not one.
        """
        if prompt_id is None:
            prompt_id = str(uuid.uuid4())
        elif not is_prompt_id(prompt_id):
            raise PromptRefused(
                problem(
                    "invalid_prompt_id",
                    "prompt_id must be a valid UUID",
                    "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the "
                    "server generate one",
                )
            )
        prompt = checked(graph, self.nodes, only)
        extra = dict(extra_data or {})
        if client_id is not None:
            extra["client_id"] = client_id
        return self.queue.put(prompt_id, prompt, extra, number, front)

    @property
    def output_folder(self) -> Path:
        """Where results are written."""
        return self.folders.output

    @property
    def data_folder(self) -> Path:
        """Where settings and journal lie: `user/__resource_gate`, as under ComfyUI."""
        return self.folders.user / "__resource_gate"

    def gpu_memory(self) -> list[GpuReading]:
        """None: it uses no device."""
        return []

    # -- MemoryHost

    def outputs(self) -> Sequence[CachedOutput]:
        """List the cached outputs as they stand now. Worker thread only."""
        running = self._execution
        waiting = self.queue.head()
        return self._cache.list(
            set(running.item.prompt.keys.values()) if running else (),
            running.needed_keys() if running else (),
            self._taken_by(waiting.prompt) if waiting else (),
            running.held_without_entry() if running else (),
        )

    def drop_outputs(self, outputs: Iterable[CachedOutput]) -> None:
        """Let go of these entries; what a pending node takes stays until that has run. Worker thread only."""
        self._cache.drop([o.key for o in outputs])

    def device_slack(self) -> int:
        """0: it uses no device."""
        return 0

    def empty_device_cache(self) -> None:
        """Nothing to do."""

    def temp_folder(self) -> Path:
        """The folder that previews go to."""
        return self.folders.temp

    def kept_folders(self) -> Sequence[Path]:
        """Input, output and user data."""
        return [self.folders.output, self.folders.input, self.folders.user]

    def referenced_files(self) -> set[Path]:
        """Files in the temp folder that history, queue, running prompt or cache name. Any thread."""
        running, pending = self.queue.snapshot()  # first: a prompt that ends in between is then in the history
        execution = self._execution
        history = list(self.queue.history().values())
        names = TempNames(self.folders.temp)
        shown = [*history, *self._cache.ui(), *([dict(execution.ui)] if execution is not None else [])]
        found = {*names.named(shown), *names.named([i.prompt.graph for i in (*running, *pending)], bare=True)}
        return {Path(path) for path in found}

    def running_since(self) -> float | None:
        """When the running prompt left the queue."""
        return None if self.queue.running is None else self._began

    def release_files(self, paths: Set[str], place: Place) -> set[str]:
        """All: what the cache shows is referenced anyway, and its outputs are no files of the temp folder."""
        return set(paths)

    def on_worker(self, work: Callable[[Place], None]) -> None:
        """Call `work` on the worker thread at the next boundary; at once where it idles. Any thread."""
        self._worker.on_worker(work)

    # -- QueueHost

    def attach(self, listener: JobListener) -> None:
        """From now on `listener` is asked and told; one at a time."""
        self._worker.attach(listener)

    def device_peaks(self) -> None:
        """It uses no device."""
        return None

    def requeue(self, job_id: str) -> bool:
        """Interrupt a running prompt and put it back first in line."""
        return self.queue.requeue(job_id)

    def wake(self) -> None:
        """Make the worker ask again now. Any thread."""
        self._worker.wake()

    def hold_answers(self, on_disk: Callable[[], Awaitable[None]]) -> bool:
        """Await `on_disk` before a client hears that its prompt was taken."""
        self.on_disk = on_disk
        return True

    def number_after(self, number: float) -> None:
        """Number later prompts from above this one on."""
        self.queue.number_after(number)

    def refusal(self, prompt: Queued) -> str:
        """Why this prompt cannot be run any more; empty where it can."""
        try:
            found = checked(prompt.graph, self.nodes, prompt.outputs)
        except PromptRefused as refused:
            return str(refused)
        return "" if set(prompt.outputs) <= set(found.targets) else "not all of its outputs can be made any more"

    def put_again(self, prompt: Queued) -> None:
        """Put a prompt of an earlier process into the queue."""
        found = checked(prompt.graph, self.nodes, prompt.outputs)
        self.queue.put(prompt.id, found, prompt.extra_data, prompt.number, again=True)

    def view(self) -> QueueView:
        """Look at the queue. Any thread."""
        running, pending = self.queue.snapshot()
        execution = self._execution
        node = execution.node if execution is not None else None
        progress = execution.progress if execution is not None and node else None
        return QueueView([i.id for i in running], len(pending), " ".join(node) if node else "", progress)

    def worker_alive(self) -> bool | None:
        """Whether the thread that runs prompts lives; None before `start`."""
        return self._worker.alive

    def hooks(self) -> Mapping[str, str]:
        """None: queue and worker ask the gate by themselves."""
        return {"queue": "built in"}

    def degraded(self) -> Mapping[str, str]:
        """Where the listener, or work for the worker, raised → what it raised first."""
        return dict(self._worker.degraded)

    def push(self, event: str, data: Mapping[str, Any], client: str | None = None) -> None:
        """Send an event to one browser client, or to all. Any thread."""
        for sink in list(self._sinks):
            sink(event, data, client)

    def _taken_by(self, prompt: CheckedPrompt) -> set[str]:
        """Keys that the waiting prompt would take from the cache, as it stands."""
        keys = prompt.keys
        _, taken = order_of(prompt.targets, prompt.graph, lambda i: keys[i] in self._cache)
        return {keys[i] for i in taken}

    def _run(self, item: Item) -> tuple[Outcome, Ended]:
        self._began = time.time()
        interrupted = self.queue.interrupted
        before_node = self._worker.before_node
        execution = Execution(
            item,
            self.nodes,
            self._cache,
            self.folders,
            interrupted,
            before_node,
            self.push,
            lambda: self.queue.put_back,
        )
        self._execution = execution
        try:
            return execution.run()
        finally:
            self._execution = None

    def _over(self, item: Item, ended: Ended) -> None:
        for event, data in ended.messages:
            if event == "execution_error" and item.client is not None:
                self.push(event, data, item.client)

    def _after(self, item: Item) -> None:
        if item.client is not None:
            self.push("executing", {"node": None, "prompt_id": item.id}, item.client)

    def _queue_changed(self) -> None:
        self.push("status", {"status": {"exec_info": {"queue_remaining": self.queue.remaining}}})
        self._worker.wake()


if __name__ == "__main__":
    import sys

    # Run as a script this file is `__main__`. What serves imports it by its own name, and works with that copy only.
    from .embedded_main import main

    sys.exit(main())
