"""How prompts come into ComfyUI's queue and are taken out of it by hand; and how those of an earlier process return."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from ..gate.host import Queued
from .comfyui_original import Original

VALIDATION_TIMEOUT = 60.0
"""Seconds for ComfyUI to check a restored prompt: the first may have to wait until the server serves."""

LARGEST = 2.0**52
"""A number above it, which a client may have set, is not counted on from: there is no whole number after it."""


class QueueEntry:
    """Wraps `put`, `delete_queue_item` and `wipe_queue` of one `PromptQueue`.

    Args:
        accepted, removed: told; contained by `contain`, which runs a call and swallows what it raises.
    """

    def __init__(
        self,
        queue: Any,
        accepted: Callable[[Queued], None],
        removed: Callable[[Sequence[str]], None],
        contain: Callable[[str, Callable[[], None]], None],
    ) -> None:
        self._queue = queue
        self._accepted = accepted
        self._removed = removed
        self._contain = contain
        self.put = Original(queue, "put")
        """As it is without us."""
        self._inside = False
        parameters = inspect.signature(queue.task_done).parameters.values()
        # `process_item` takes the sensitive sixth part out before the history shows an item; both came together.
        six = any(p.name == "process_item" or p.kind is p.VAR_KEYWORD for p in parameters)
        self._sensitive: tuple[dict[str, Any], ...] = ({},) if six else ()

    def install(self) -> None:
        """Wrap what is there."""
        queue, put = self._queue, self.put

        def journalled_put(item: Any, *args: Any, **kwargs: Any) -> Any:
            self._contain("journal of queued prompts", lambda: self._accepted(queued_of(item)))
            try:
                return put(item, *args, **kwargs)
            except BaseException:  # another pack takes no more: it must not come back after the next start
                self._contain("journal of removed prompts", lambda: self._removed([queued_of(item).id]))
                raise

        queue.put = journalled_put
        for name in ("delete_queue_item", "wipe_queue"):
            if hasattr(queue, name):
                setattr(queue, name, partial(self._removing, Original(queue, name)))

    def put_again(self, prompt: Queued) -> None:
        """Put a prompt of an earlier process into the queue."""
        number = int(prompt.number) if float(prompt.number).is_integer() else prompt.number
        item = (number, prompt.id, dict(prompt.graph), dict(prompt.extra_data), list(prompt.outputs))
        self.put(item + tuple(dict(s) for s in self._sensitive))

    def number_after(self, number: float) -> None:
        """Number later prompts from above this one on."""
        server = getattr(self._queue, "server", None)
        if server is not None and -LARGEST < number < LARGEST and isinstance(getattr(server, "number", None), int):
            server.number = max(server.number, int(number) + 1)

    def refusal(self, prompt: Queued) -> str:
        """Why ComfyUI would not take this prompt now. Blocks; not on the event loop."""
        validate = import_module("execution").validate_prompt
        loop = self._queue.server.loop
        checking = asyncio.run_coroutine_threadsafe(
            validate(prompt.id, dict(prompt.graph), list(prompt.outputs) or None), loop
        )
        try:
            valid, error, outputs, _ = checking.result(VALIDATION_TIMEOUT)
        except concurrent.futures.TimeoutError:  # another class than `TimeoutError` before Python 3.11
            checking.cancel()
            return f"ComfyUI did not check it within {VALIDATION_TIMEOUT:.0f} s"
        if valid and set(prompt.outputs) <= {str(output) for output in outputs}:
            return ""
        told = error or {"message": "not all of its outputs can be made any more", "details": ""}
        return ": ".join(filter(None, (str(told.get("message", "")), str(told.get("details", "")))))[:1000]

    def _removing(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._queue.mutex:
            if self._inside:  # ComfyUI takes the last one out by wiping the queue: told by the outer call
                return original(*args, **kwargs)
            self._inside = True
            try:
                before = list(self._queue.queue)
                result = original(*args, **kwargs)
                left = {id(item) for item in self._queue.queue}
            finally:
                self._inside = False
        gone = [item for item in before if id(item) not in left]
        if gone:
            self._contain("journal of removed prompts", lambda: self._removed([str(item[1]) for item in gone]))
        return result


def queued_of(item: Any) -> Queued:
    """A queue item; its tuple is (number, id, graph, extra data, outputs to run, …) in all versions.

    The sixth, where there is one, holds keys and tokens: it is never looked at.
    """
    extra = item[3] if isinstance(item[3], Mapping) else {}
    number = 0.0
    with suppress(TypeError, ValueError, OverflowError):
        number = float(item[0])
    if not -LARGEST <= number <= LARGEST:  # `1e999` in a client's JSON is infinite
        number = math.copysign(LARGEST, number)
    return Queued(str(item[1]), number, item[2], tuple(map(str, item[4])), extra)
