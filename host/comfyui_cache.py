"""ComfyUI's cached node outputs: what lies there, who will still want it, and letting go of it.

On the worker thread only. Entries are popped from the caches' own dicts: the executor hands a consumer what it needs
when the link is made (since 0.3.66), and on older versions an entry that a pending node needs is never popped.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from ..gate.host import Job
from ..reclaim.host import CachedOutput, Use
from .comfyui_worker import NodeFrame
from .graphs import Graph, is_link, links_of, nodes_taken_from_cache, signatures
from .tensors import Contents, contents

REMEMBERED_PROMPTS = 16
"""Prompts whose cache keys are remembered, to name what older ones left; ComfyUI's cache outlives several."""


class _Entry(NamedTuple):
    cache: Any
    key: Any
    node_id: str | None
    """In the prompt that ran last; None where an earlier one left it."""
    value: Any


class _Prompt:
    """A prompt that ran: its cache keys by node, its graph, and, once they are asked for, its signatures.

    Of ComfyUI's key set only the keys: the set holds the cache itself, with all that is in it.
    """

    def __init__(self, keys: Mapping[str, Any], graph: Graph) -> None:
        self.keys, self.graph = keys, graph

    @cached_property
    def signed(self) -> dict[str, int]:
        return signatures(self.graph)


class _RunAgain(NamedTuple):
    cache: weakref.ref[Any]
    """Weak: `/free` makes ComfyUI let go of the cache with all that is in it, and so must we."""
    key: Any
    node_id: str


class OutputCache:
    """A view of `executor.caches.outputs`.

    Args:
        may_change: node class name → whether it decides by itself if it must run again (`IS_CHANGED`).
    """

    def __init__(self, may_change: Callable[[str], bool]) -> None:
        self._may_change = may_change
        self._prompts: deque[_Prompt] = deque(maxlen=REMEMBERED_PROMPTS)
        self._run_again: list[_RunAgain] = []

    def outputs(self, executor: Any, node: NodeFrame | None, waiting: Job | None) -> list[CachedOutput]:
        """The entries as they stand; `node` is the one about to run, None between prompts."""
        cache = executor.caches.outputs
        self._remember(cache)
        entries = list(_entries(cache))
        wanted = self._wanted_by(waiting, cache)
        needed = set() if node is None else _needed(node)
        listed = []
        held = []
        for entry in entries:
            use = self._use(entry, node is not None, needed, wanted)
            held.append(contents([getattr(entry.value, "outputs", entry.value)]))
            listed.append(CachedOutput((entry.cache, entry.key), self._label(entry, cache), use, 0))
        return _with_bytes(listed, held)

    def drop(self, outputs: Iterable[CachedOutput]) -> None:
        """Pop these entries."""
        for output in outputs:
            cache, key = output.key
            cache.cache.pop(key, None)

    def run_again(self, executor: Any, node_id: str) -> None:
        """Let this node run in every later prompt in which something that follows it must run.

        A node without `IS_CHANGED` is cached and would never run again; one whose `IS_CHANGED` says so each time
        makes everything that follows it run each time. So its own entry is popped before the next prompt, and
        only then.
        """
        cache = executor.caches.outputs
        find = getattr(cache, "_get_cache_for", None)
        own = find(node_id) if find is not None else cache
        key_set = getattr(own, "cache_key_set", None)
        if key_set is None:
            return
        key = key_set.get_data_key(node_id)
        if key is not None:
            self._run_again.append(_RunAgain(weakref.ref(own), key, node_id))

    def before_prompt(self, executor: Any, job: Job) -> None:
        """Pop the entries of `run_again` that the waiting prompt would otherwise wrongly take from the cache."""
        cache = executor.caches.outputs
        self._remember(cache)
        if not self._run_again:
            return
        signed, cached = signatures(job.graph), self._cached_signatures(cache)
        consumers: dict[str, list[str]] = {}
        for node_id, node in job.graph.items():
            for source in links_of(node):
                consumers.setdefault(source, []).append(node_id)
        left = []
        for one in self._run_again:
            own = one.cache()
            if own is None:
                continue
            followers = consumers.get(one.node_id, [])
            if followers and all(self._stays(f, job.graph, signed, cached) for f in followers):
                left.append(one)
            else:
                own.cache.pop(one.key, None)
        self._run_again = left

    def _stays(self, node_id: str, graph: Graph, signed: Mapping[str, int], cached: set[int]) -> bool:
        """Whether a node will surely be taken from the cache."""
        if signed.get(node_id) not in cached:
            return False
        stack, seen = [node_id], set()
        while stack:
            current = stack.pop()
            if current in seen:
                continue
            seen.add(current)
            if self._may_change(graph[current].get("class_type", "")):
                return False
            stack += links_of(graph[current])
        return True

    def _remember(self, cache: Any) -> None:
        key_set = getattr(cache, "cache_key_set", None)
        dynprompt = getattr(cache, "dynprompt", None)
        if key_set is None or dynprompt is None or (self._prompts and self._prompts[-1].keys is key_set.keys):
            return
        self._prompts.append(_Prompt(key_set.keys, dynprompt.original_prompt))

    def _signature_of_keys(self) -> dict[Any, int]:
        known: dict[Any, int] = {}
        for prompt in self._prompts:
            signed = prompt.signed
            known.update((key, signed[node_id]) for node_id, key in prompt.keys.items() if node_id in signed)
        return known

    def _cached_signatures(self, cache: Any) -> set[int]:
        present = getattr(cache, "cache", {})
        return {signature for key, signature in self._signature_of_keys().items() if key in present}

    def _wanted_by(self, waiting: Job | None, cache: Any) -> set[Any]:
        """Keys that the waiting prompt would take from the cache."""
        if waiting is None:
            return set()
        signed, cached = signatures(waiting.graph), self._cached_signatures(cache)
        taken = nodes_taken_from_cache(
            waiting.graph, lambda node_id: signed.get(node_id) in cached, list(waiting.outputs or waiting.graph)
        )
        wanted = {signed[node_id] for node_id in taken}
        return {key for key, signature in self._signature_of_keys().items() if signature in wanted}

    def _use(self, entry: _Entry, running: bool, needed: set[str], wanted: set[Any]) -> Use:
        if running and entry.node_id is not None:
            return Use.NEEDED if entry.node_id in needed else Use.DONE
        return Use.REUSABLE if entry.key in wanted else Use.EARLIER

    def _label(self, entry: _Entry, cache: Any) -> str:
        for prompt in reversed(self._prompts):
            for node_id, key in prompt.keys.items():
                if key == entry.key and node_id in prompt.graph:
                    return f"{node_id} {prompt.graph[node_id].get('class_type', '')}"
        return entry.node_id or "an earlier node"


def _entries(cache: Any) -> Iterator[_Entry]:
    """All entries of a cache and its subcaches. A cache that keeps nothing (`--cache-none`) has none."""
    key_set = getattr(cache, "cache_key_set", None)
    if key_set is None or not isinstance(getattr(cache, "cache", None), dict):
        return
    names = {key: node_id for node_id, key in key_set.keys.items()}
    for key, value in cache.cache.items():
        yield _Entry(cache, key, names.get(key), value)
    for subcache in getattr(cache, "subcaches", {}).values():
        yield from _entries(subcache)


def _needed(node: NodeFrame) -> set[str]:
    """Nodes whose outputs a pending node (the one about to run included) takes."""
    needed: set[str] = set()
    dynprompt = node.execution_list.dynprompt
    for pending in node.execution_list.pendingNodes:
        needed.update(links_of(dynprompt.get_node(pending)))
    for results in node.pending_subgraph_results.values():
        for is_subgraph, result in results:
            if is_subgraph and result is not None:
                needed.update(r[0] for r in result if is_link(r))
    return needed


def _with_bytes(listed: list[CachedOutput], held: list[Contents]) -> list[CachedOutput]:
    """Give each entry the bytes that go with it, counting a shared storage once, and one number to those that share."""
    group = list(range(len(listed)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    holders: dict[int, int] = {}
    for i, inside in enumerate(held):
        for storage in (*inside.ram, *inside.vram, *inside.models):
            group[root(i)] = root(holders.setdefault(storage, i))
    counted: set[int] = set()
    sized = []
    for i, (output, inside) in enumerate(zip(listed, held, strict=True)):
        mine = {
            kind: sum(size for storage, size in part.items() if storage not in counted)
            for kind, part in (("ram", inside.ram), ("vram", inside.vram), ("models", inside.models))
        }
        counted.update(inside.ram, inside.vram, inside.models)
        models = sum(inside.models.values())
        ram = mine["ram"] + mine["models"]
        sized.append(output._replace(ram=ram, vram=mine["vram"], models=models, group=root(i) + 1))
    return sized
