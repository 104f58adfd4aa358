"""Puts a running prompt of ComfyUI back first in line, unseen by who waits for it.

Two ways lead there: it is interrupted for us (`ask`), or it failed and is tried again (`hold_errors`, `take_back`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from .comfyui_original import Original

HELD = "execution_error"
"""Sent before the prompt's end, when nobody has decided yet whether it is tried again: kept until somebody has."""

MUFFLED = frozenset({"execution_interrupted", "executing"})
"""Events of a first attempt from which a client would conclude that its prompt is over."""

LOOKED_AT = MUFFLED | {HELD}

MAX_HELD = 16
"""Events held at a time: one, while one prompt runs; a fork that ends prompts without `task_done` must not pile up."""


class Requeue:
    """One `PromptQueue`'s. The same id keeps its number, and so its place; the history never shows the attempt.

    Args:
        queue: `PromptServer.instance.prompt_queue`.
        nodes_module: ComfyUI's `nodes`.
        put: puts an item back, as the queue's own `put`.
        in_force: whether we shall hear of the end of what runs: a pack may have put ours out of force. Where we shall
            not, nothing is kept from clients, and nothing is interrupted.
    """

    def __init__(
        self,
        queue: Any,
        nodes_module: Any,
        put: Callable[[Any], None] | None = None,
        in_force: Callable[[], bool] = lambda: True,
    ) -> None:
        self._queue = queue
        self._nodes = nodes_module
        self._put = put or queue.put
        self._in_force = in_force
        self._running: str | None = None
        """The prompt that left the queue last, as far as we were told."""
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._muffled: set[str] = set()
        self._held: list[tuple[Any, Any, Any]] = []
        self._holding = False
        self._send: Callable[[Any, Any, Any], Any] | None = None

    def ask(self, prompt_id: str) -> bool:
        """Interrupt the prompt if it runs, and can be put back; tells whether it was. Any thread.

        The check and the interrupt are one under the queue's lock, so that it cannot hit the next prompt.
        """
        if not self._in_force():
            return False
        with self._queue.mutex:
            if all(str(item[1]) != prompt_id for item in self._queue.currently_running.values()):
                return False
            with self._lock:
                self._asked.add(prompt_id)
                self._muffled.add(prompt_id)
            self._wrap_send()
            self._nodes.interrupt_processing(True)
            return True

    def hold_errors(self) -> None:
        """From now on keep a prompt's error until `take_back` or `release` has been called for its end."""
        self._holding = True
        self._wrap_send()

    def was_asked(self, prompt_id: str, status: Any) -> bool:
        """At the end of a prompt: whether it was interrupted for us. On the worker thread, once."""
        with self._lock:
            if prompt_id not in self._asked:
                return False
            self._asked.discard(prompt_id)
            if not _was_interrupted(status):  # it came to its end before it noticed
                self._muffled.discard(prompt_id)
                return False
            return True

    def take_back(self, item_id: Any, graph: Mapping[str, Any] | None = None) -> None:
        """Put the prompt that has just ended back; nobody is told that it was over. On the worker thread.

        `graph`: what it is to run from now on; its own where None.

        Raises:
            Exception: it cannot be put back, as another pack's `put` may say; then all is as if it had not been tried.
        """
        with self._queue.mutex:
            running = self._queue.currently_running
            item = running[item_id]
            again = (*item[:2], unanswered(item[2] if graph is None else graph), *item[3:])
            del running[item_id]  # first: with the item in both, clients would be told of one prompt too many
            try:
                self._put(again)
            except BaseException:
                running[item_id] = item
                raise
            with self._lock:
                self._muffled.add(str(item[1]))
                self._held.clear()

    def over(self, prompt_id: str) -> None:
        """The prompt is in the history. Who asked for it in the last moment came too late: its end is to be heard."""
        with self._lock:
            self._asked.discard(prompt_id)
            self._muffled.discard(prompt_id)

    def release(self) -> None:
        """Send what was held: the prompt is over. On the worker thread."""
        with self._lock:
            held, self._held = self._held, []
        for event, data, sid in held:
            if self._send is not None:
                self._send(event, data, sid)

    def started(self, prompt_id: str) -> None:
        """The prompt has left the queue: from now on its events are its own."""
        self.release()
        with self._lock:
            self._running = prompt_id
            self._muffled.discard(prompt_id)

    def _wrap_send(self) -> None:
        server = getattr(self._queue, "server", None)
        if self._send is not None or server is None:
            return
        original = self._send = Original(server, "send_sync")

        def send_sync(event: Any, data: Any, sid: Any = None) -> Any:
            # Asked for each step of a sampler: one look into a small set for all that is not an end.
            if event in LOOKED_AT and isinstance(data, dict) and self._keeps(event, data, sid):
                return None
            return original(event, data, sid)

        server.send_sync = send_sync

    def _keeps(self, event: str, data: dict[str, Any], sid: Any) -> bool:
        if event != HELD:
            return str(data.get("prompt_id")) in self._muffled and (event != "executing" or data.get("node") is None)
        with self._lock:
            ours = self._holding and str(data.get("prompt_id")) == self._running and self._in_force()
            if not ours or len(self._held) >= MAX_HELD:
                return False
            self._held.append((event, data, sid))
            return True


def _was_interrupted(status: Any) -> bool:
    return any(event == "execution_interrupted" for event, _ in getattr(status, "messages", None) or ())


def unanswered(graph: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the graph whose nodes are asked anew whether they would do something else.

    ComfyUI writes each node's answer (`IS_CHANGED`) into the graph that it runs, and asks no node twice: run once more,
    *Adaptive Batch Size* could not answer with fewer.
    """
    return {
        node_id: {key: value for key, value in node.items() if key != "is_changed"} for node_id, node in graph.items()
    }
