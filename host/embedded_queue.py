"""The embedded host's queue and history, with the shapes ComfyUI's API gives them."""

from __future__ import annotations

import bisect
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..gate.host import Job, Queued
from .embedded_graph import CheckedPrompt

MAXIMUM_HISTORY = 10_000
"""Ended prompts remembered, as in ComfyUI."""

SENSITIVE = ("auth_token_comfy_org", "api_key_comfy_org")
"""Keys of a prompt's extra data that must never be shown or kept."""


@dataclass(frozen=True)
class Item:
    """A queued prompt."""

    number: float
    id: str
    prompt: CheckedPrompt = field(repr=False)
    extra_data: Mapping[str, Any] = field(repr=False)
    order: int = 0
    """Among items with the same number the earlier one runs first."""

    @property
    def job(self) -> Job:
        """As the gate sees it."""
        return Job(self.id, self.number, self.prompt.graph)

    @property
    def queued(self) -> Queued:
        """As the journal keeps it."""
        return Queued(self.id, self.number, self.prompt.graph, self.prompt.targets, self.extra_data)

    @property
    def client(self) -> str | None:
        """Whose WebSocket hears of it."""
        client = self.extra_data.get("client_id")
        return client if isinstance(client, str) else None

    def as_tuple(self) -> list[Any]:
        """As ComfyUI's `/queue` and `/history` show it: number, id, graph, extra data, output nodes."""
        return [self.number, self.id, self.prompt.graph, self.extra_data, list(self.prompt.targets)]


@dataclass(frozen=True)
class Ended:
    """How a prompt ended."""

    outputs: Mapping[str, Any]
    """Per node, what a browser may show: `{"images": [{"filename", "subfolder", "type"}]}`."""
    ok: bool
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list, repr=False)


class PromptQueue:
    """Pending prompts in order, the running one, and what became of the others. Any thread.

    Args:
        changed: called after each change, outside the lock.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._changed = changed
        self._pending: list[Item] = []
        self._running: Item | None = None
        self._history: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count()
        self._orders = itertools.count()
        self.interrupted = threading.Event()
        """Set while the running prompt is to stop."""
        self.put_back = False
        """Whether it is then to go back first in line, instead of into the history."""
        self.accepted: Callable[[Item], None] = lambda item: None
        """Called before an item is in the queue, and before `put` returns. It may raise nothing."""
        self.removed: Callable[[list[str]], None] = lambda ids: None
        """Called when items were taken out by hand."""

    def put(
        self,
        prompt_id: str,
        prompt: CheckedPrompt,
        extra_data: Mapping[str, Any],
        number: float | None = None,
        front: bool = False,
        again: bool = False,
    ) -> Item:
        """Queue a prompt; without a number it comes last, or first where `front`.

        `again`: it was accepted by an earlier process, and nobody is told.
        """
        kept = {k: v for k, v in extra_data.items() if k not in SENSITIVE}
        if not again:
            kept["create_time"] = int(time.time() * 1000)
        with self._lock:
            if number is None:
                number = next(self._numbers)
                number = -number if front else number
            item = Item(number, prompt_id, prompt, kept, next(self._orders))
            if not again:
                self.accepted(item)
            bisect.insort(self._pending, item, key=lambda i: (i.number, i.order))
        self._changed()
        return item

    def number_after(self, number: float) -> None:
        """Number later prompts from above this one on."""
        with self._lock:
            self._numbers = itertools.count(max(next(self._numbers), int(number) + 1))

    def head(self) -> Item | None:
        """The prompt that would run next."""
        with self._lock:
            return self._pending[0] if self._pending else None

    def move_up(self, prompt_id: str) -> Item | None:
        """Make a pending prompt the next, out of its turn; None where it is not there (any more)."""
        with self._lock:
            for item in self._pending:
                if item.id == prompt_id:
                    self._pending.remove(item)
                    self._pending.insert(0, item)
                    return item
            return None

    def take(self, item: Item) -> bool:
        """Make `item` the running one; False if it is not (any more) the next."""
        with self._lock:
            if not self._pending or self._pending[0] is not item:
                return False
            self._running = self._pending.pop(0)
            # An interrupt sent while nothing ran meant nothing that runs now.
            self.interrupted.clear()
            self.put_back = False
        self._changed()
        return True

    def requeue(self, prompt_id: str) -> bool:
        """Stop the running prompt, if it is that one, and put it back first in line. Tells whether it will."""
        with self._lock:
            if self._running is None or self._running.id != prompt_id:
                return False
            self.put_back = True
            self.interrupted.set()
            return True

    def back_in_line(self) -> None:
        """Put the running prompt back first in line, with its number."""
        with self._lock:
            if self._running is not None:
                self._pending.insert(0, self._running)
            self._running, self.put_back = None, False
        self._changed()

    def done(self, ended: Ended) -> None:
        """The running prompt is over: into the history with it."""
        with self._lock:
            item, self._running = self._running, None
            if item is None:
                return
            while len(self._history) >= MAXIMUM_HISTORY:
                self._history.pop(next(iter(self._history)))
            status = "success" if ended.ok else "error"
            self._history.pop(item.id, None)
            self._history[item.id] = {
                "prompt": item.as_tuple(),
                "outputs": dict(ended.outputs),
                "status": {"status_str": status, "completed": ended.ok, "messages": ended.messages},
                "meta": {
                    i: {"node_id": i, "display_node": i, "parent_node": None, "real_node_id": i} for i in ended.outputs
                },
            }
        self._changed()

    def delete(self, ids: Collection[str]) -> None:
        """Take pending prompts out."""
        self._take_out(lambda item: item.id in ids)

    def clear(self) -> None:
        """Take all pending prompts out."""
        self._take_out(lambda item: True)

    def _take_out(self, goes: Callable[[Item], bool]) -> None:
        with self._lock:
            gone = [i.id for i in self._pending if goes(i)]
            self._pending = [i for i in self._pending if not goes(i)]
        if gone:
            self.removed(gone)
        self._changed()

    def interrupt(self, prompt_id: str | None = None) -> bool:
        """Stop the running prompt at its next look; with an id only if it is that one. Tells whether it will."""
        with self._lock:
            if self._running is None or prompt_id not in (None, self._running.id):
                return False
            self.put_back = False  # the user's word counts more than ours
            self.interrupted.set()
            return True

    @property
    def running(self) -> Item | None:
        """The prompt that runs."""
        return self._running

    def snapshot(self) -> tuple[list[Item], list[Item]]:
        """Running and pending prompts at one moment."""
        with self._lock:
            return [self._running] if self._running else [], list(self._pending)

    @property
    def remaining(self) -> int:
        """Prompts that run or wait."""
        with self._lock:
            return len(self._pending) + (self._running is not None)

    def history(self, max_items: int | None = None, offset: int = -1) -> dict[str, Any]:
        """Ended prompts by id, oldest first; the last `max_items`, or from `offset` on."""
        with self._lock:
            ids = list(self._history)
            start = max(0, len(ids) - max_items) if offset < 0 and max_items is not None else max(0, offset)
            end = None if max_items is None else start + max_items
            return {i: self._history[i] for i in ids[start:end]}

    def entry(self, prompt_id: str) -> dict[str, Any] | None:
        """What became of one prompt; None while it has not ended, or is not known."""
        with self._lock:
            return self._history.get(prompt_id)

    def forget(self, ids: Collection[str] | None = None) -> None:
        """Take prompts out of the history; None: all."""
        with self._lock:
            self._history = {} if ids is None else {k: v for k, v in self._history.items() if k not in ids}


def is_prompt_id(value: Any) -> bool:
    """Whether it is a UUID in canonical form: lower case, with hyphens. Ids are compared as text everywhere."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False
