"""One prompt, run node by node, with ComfyUI's events and its way of holding outputs."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..gate.host import NodeStart, Outcome
from .embedded_cache import Entry, OutputCache
from .embedded_files import Folders
from .embedded_graph import fingerprinted, order_of
from .embedded_kinds import Interrupted, NodeContext, NodeKind, NodeResult
from .embedded_queue import Ended, Item
from .graphs import is_link, links_of

log = logging.getLogger(__name__)

PROGRESS_PAUSE = 0.05
"""Seconds between two progress events of one node: browsers draw no faster, and 97 frames may take one second."""


class Execution:
    """A prompt while it runs. On the worker thread; `node`, `progress` and `ui` may be read anywhere.

    Args:
        before_node: called between nodes, before each that runs.
        emit: sends an event (name, data, client or None for all).
        unseen: whether an interrupt is to stay unseen, because the prompt goes back in line.
    """

    def __init__(
        self,
        item: Item,
        kinds: Mapping[str, NodeKind],
        cache: OutputCache,
        folders: Folders,
        interrupted: Any,
        before_node: Callable[[NodeStart], None],
        emit: Callable[[str, Mapping[str, Any], str | None], None],
        unseen: Callable[[], bool] = lambda: False,
    ) -> None:
        self._unseen = unseen
        self.item = item = replace(item, prompt=fingerprinted(item.prompt, kinds))
        self.node: tuple[str, str] | None = None
        """Id and class of the node that runs."""
        self.progress: float | None = None
        self.ui: dict[str, Any] = {}
        self._kinds = kinds
        self._cache = cache
        self._folders = folders
        self._interrupted = interrupted
        self._before_node = before_node
        self._emit = emit
        self._keys = item.prompt.keys
        self._graph = item.prompt.graph
        self._consumers: dict[str, int] = {}
        self._held: dict[str, Entry] = {}
        self._executed: list[str] = []
        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._told_at = 0.0

    def needed_keys(self) -> set[str]:
        """Keys of outputs that a node still to run takes."""
        return {self._keys[i] for i in self._consumers}

    def held_without_entry(self) -> list[Any]:
        """Outputs still to be taken whose entries were dropped."""
        return [e.outputs for i, e in self._held.items() if self._cache.get(self._keys[i]) is not e]

    def run(self) -> tuple[Outcome, Ended]:
        """Run to its end; failures of nodes are told in the outcome, not raised."""
        job_id = self.item.id
        self._message("execution_start", {"prompt_id": job_id})
        self._cache.begin(list(self._keys.values()))
        cached = [i for i in self._keys if self._keys[i] in self._cache]
        self._message("execution_cached", {"nodes": cached, "prompt_id": job_id})
        to_run, taken = order_of(self.item.prompt.targets, self._graph, lambda i: self._keys[i] in self._cache)
        for node_id in to_run:
            for source in set(links_of(self._graph[node_id])):
                self._consumers[source] = self._consumers.get(source, 0) + 1
        for node_id in taken:
            entry = self._cache.get(self._keys[node_id])
            if entry is not None:
                self._made(node_id, entry)
        node_id = ""
        try:
            for node_id in to_run:
                self._run_node(node_id)
                self._cache.drop_earlier()
            self._cache.drop_earlier()
        except Interrupted:
            log.info("prompt %s was interrupted", job_id)
            if not self._unseen():
                self._message("execution_interrupted", self._where(node_id), to_all=True)
            outcome = Outcome(job_id, False, "interrupted", "interrupted by the user", node_id)
        except Exception as error:  # noqa: BLE001 - whatever a node raises ends its prompt, never the worker
            outcome = self._failed(node_id, error)
        else:
            self._message("execution_success", {"prompt_id": job_id})
            outcome = Outcome(job_id, True)
        finally:
            self._held.clear()
            self._consumers.clear()
            self.node = None
        return outcome, Ended(dict(self.ui), outcome.ok, self._messages)

    def _run_node(self, node_id: str) -> None:
        if self._interrupted.is_set():
            raise Interrupted("interrupted")
        entry = self._cache.get(self._keys[node_id])
        if entry is None:  # else a node just like it ran in this prompt
            entry = self._run_kind(node_id, self._kinds[self._graph[node_id]["class_type"]])
        for source in set(links_of(self._graph[node_id])):
            self._consumers[source] -= 1
            if not self._consumers[source]:
                del self._consumers[source]
                self._held.pop(source, None)
        self._made(node_id, entry)

    def _run_kind(self, node_id: str, kind: NodeKind) -> Entry:
        self.node, self.progress, self._told_at = (node_id, kind.name), None, 0.0
        where = {"node": node_id, "display_node": node_id, "prompt_id": self.item.id}
        self._tell("executing", where)
        self._tell_progress_state(node_id, 0, 1, "running")
        inputs = self._inputs_of(node_id, kind)
        self._before_node(NodeStart(self.item.id, node_id, kind.name, inputs))
        if self._interrupted.is_set():
            raise Interrupted("interrupted")
        extra = self.item.extra_data.get("extra_pnginfo")
        context = NodeContext(
            self.item.id,
            node_id,
            kind.name,
            self._folders,
            self._graph,
            extra if isinstance(extra, Mapping) else {},
            self._interrupted,
            lambda value, total: self._report(node_id, value, total),
            lambda text: self._tell("progress_text", {"nodeId": node_id, "text": text}),
        )
        result: NodeResult = kind.run(context, **inputs)
        if len(result.outputs) != len(kind.outputs):
            raise TypeError(f"{kind.name} made {len(result.outputs)} outputs, it should make {len(kind.outputs)}")
        entry = Entry(f"{node_id} {kind.name}", result.outputs, result.ui)
        if kind.cached:
            self._cache.put(self._keys[node_id], entry)
        self._tell_progress_state(node_id, 1, 1, "finished")
        self._executed.append(node_id)
        return entry

    def _inputs_of(self, node_id: str, kind: NodeKind) -> dict[str, Any]:
        inputs = {}
        for name, value in self._graph[node_id]["inputs"].items():
            if name in kind.inputs:
                inputs[name] = self._held[value[0]].outputs[value[1]] if is_link(value) else value
        return inputs

    def _made(self, node_id: str, entry: Entry) -> None:
        """Hold what pending nodes take, whatever becomes of the cache, and show what there is to show."""
        if node_id in self._consumers:
            self._held[node_id] = entry
        if entry.ui is not None:
            self.ui[node_id] = dict(entry.ui)
            data = {"node": node_id, "display_node": node_id, "output": self.ui[node_id], "prompt_id": self.item.id}
            self._tell("executed", data)

    def _report(self, node_id: str, value: float, total: float) -> None:
        self.progress = value / total if total else None
        now = time.monotonic()
        if now - self._told_at < PROGRESS_PAUSE and value < total:
            return
        self._told_at = now
        data = {"value": value, "max": total, "prompt_id": self.item.id, "node": node_id}
        self._tell("progress", data)
        self._tell_progress_state(node_id, value, total, "running")

    def _tell_progress_state(self, node_id: str, value: float, total: float, state: str) -> None:
        one = {
            "value": value,
            "max": total,
            "state": state,
            "node_id": node_id,
            "prompt_id": self.item.id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        self._tell("progress_state", {"prompt_id": self.item.id, "nodes": {node_id: one}})

    def _failed(self, node_id: str, error: Exception) -> Outcome:
        kind, text = _type_name(error), str(error)
        # As text: a log record that kept the exception would keep its frames, and in them the node's tensors.
        lines = traceback.format_exception(error)
        log.error("prompt %s failed in node %s:\n%s", self.item.id, node_id, "".join(lines).rstrip())
        inputs = self._graph[node_id]["inputs"]
        told = {
            "exception_message": f"{text}\n",
            "exception_type": kind,
            "traceback": traceback.format_tb(error.__traceback__),
            "current_inputs": {k: [str(v)] for k, v in inputs.items()},
            "current_outputs": list(self._executed),
        }
        # Kept, and told by the host once it is sure that the prompt is not tried again.
        self._message("execution_error", self._where(node_id) | told, tell=False)
        return Outcome(self.item.id, False, kind, text, node_id)

    def _where(self, node_id: str) -> dict[str, Any]:
        class_type = self._graph[node_id]["class_type"] if node_id else ""
        return {
            "prompt_id": self.item.id,
            "node_id": node_id,
            "node_type": class_type,
            "executed": list(self._executed),
        }

    def _message(self, event: str, data: dict[str, Any], to_all: bool = False, tell: bool = True) -> None:
        """Tell, and keep for the history."""
        data = {**data, "timestamp": int(time.time() * 1000)}
        self._messages.append((event, data))
        if not tell:
            return
        if to_all and self.item.client is None:
            self._emit(event, data, None)
        else:
            self._tell(event, data)

    def _tell(self, event: str, data: Mapping[str, Any]) -> None:
        """To the client that queued the prompt only, as ComfyUI does."""
        if self.item.client is not None:
            self._emit(event, data, self.item.client)


def _type_name(error: Exception) -> str:
    """`MemoryError`, `av.error.InvalidDataError`: as ComfyUI names the type of an exception."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
