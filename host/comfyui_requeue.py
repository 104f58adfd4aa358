"""Interrupts a running prompt of ComfyUI and puts it back first in line, unseen by who waits for it."""

from __future__ import annotations

import threading
from typing import Any

MUFFLED = frozenset({"execution_interrupted", "executing"})
"""Events of a first attempt from which a client would conclude that its prompt is over."""


class Requeue:
    """One `PromptQueue`'s. The same id keeps its number, and so its place; the history never shows the attempt.

    Args:
        queue: `PromptServer.instance.prompt_queue`.
        nodes_module: ComfyUI's `nodes`.
    """

    def __init__(self, queue: Any, nodes_module: Any) -> None:
        self._queue = queue
        self._nodes = nodes_module
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._muffled: set[str] = set()
        self._wrapped = False

    def ask(self, prompt_id: str) -> bool:
        """Interrupt the prompt if it runs; tells whether it does. Any thread.

        The check and the interrupt are one under the queue's lock, so that it cannot hit the next prompt.
        """
        with self._queue.mutex:
            if all(str(item[1]) != prompt_id for item in self._queue.currently_running.values()):
                return False
            with self._lock:
                self._asked.add(prompt_id)
                self._muffled.add(prompt_id)
            self._wrap_send()
            self._nodes.interrupt_processing(True)
            return True

    def take_back(self, item_id: Any, status: Any) -> bool:
        """At the end of a prompt: put it back if it was interrupted for us. On the worker thread.

        Returns:
            Whether it was; then it is not over, and nobody else is told that it is.
        """
        with self._queue.mutex:
            item = self._queue.currently_running.get(item_id)
            prompt_id = None if item is None else str(item[1])
            with self._lock:
                if prompt_id is None or prompt_id not in self._asked:
                    return False
                self._asked.discard(prompt_id)
                if not _was_interrupted(status):  # it came to its end before it noticed
                    self._muffled.discard(prompt_id)
                    return False
            self._queue.currently_running.pop(item_id)
            self._queue.put(item)
            return True

    def started(self, prompt_id: str) -> None:
        """The prompt has left the queue: from now on its events are its own."""
        with self._lock:
            self._muffled.discard(prompt_id)

    def _wrap_send(self) -> None:
        server = getattr(self._queue, "server", None)
        if self._wrapped or server is None:
            return
        original = server.send_sync

        def send_sync(event: Any, data: Any, sid: Any = None) -> Any:
            if self._muffled and event in MUFFLED and isinstance(data, dict) and self._says_over(event, data):
                return None
            return original(event, data, sid)

        server.send_sync = send_sync
        self._wrapped = True

    def _says_over(self, event: str, data: dict[str, Any]) -> bool:
        return str(data.get("prompt_id")) in self._muffled and (event != "executing" or data.get("node") is None)


def _was_interrupted(status: Any) -> bool:
    return any(event == "execution_interrupted" for event, _ in getattr(status, "messages", None) or ())
