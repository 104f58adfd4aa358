"""Outputs of nodes kept for the next prompt, as ComfyUI's default cache keeps them, and what each holds in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..reclaim.host import CachedOutput, Use


@dataclass
class Entry:
    """What one node left."""

    node: str
    """Id and class, for the log: `12 ImageScale`."""
    outputs: tuple[Any, ...] = field(repr=False)
    ui: Mapping[str, Any] | None = None
    prompt: int = 0
    """Number of the prompt that made or used it last."""


class OutputCache:
    """Entries by key. What a prompt before the running one left goes when the running one has run its first node.

    So two prompts' outputs lie in memory together while that first node runs: ComfyUI 0.33's default does the same.
    On the worker thread only; `ui` may be called anywhere.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._prompt = 0

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def begin(self, keys: Collection[str]) -> None:
        """A prompt with these keys begins to run."""
        self._prompt += 1
        for key in keys:
            if key in self._entries:
                self._entries[key].prompt = self._prompt

    def get(self, key: str) -> Entry | None:
        """The entry, or None."""
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Keep an entry of the running prompt."""
        entry.prompt = self._prompt
        self._entries[key] = entry

    def drop(self, keys: Iterable[str]) -> None:
        """Let go of entries; those that are not there are passed over."""
        for key in keys:
            self._entries.pop(key, None)

    def drop_earlier(self) -> None:
        """Let go of what the running prompt neither made nor shares."""
        self.drop([k for k, e in self._entries.items() if e.prompt < self._prompt])

    def ui(self) -> list[Mapping[str, Any]]:
        """What browsers were shown of the entries; a cached re-run shows it again. Any thread."""
        return [e.ui for e in list(self._entries.values()) if e.ui]

    def list(
        self, running: Collection[str], needed: Collection[str], waiting: Collection[str], held: Iterable[Any]
    ) -> list[CachedOutput]:
        """Describe the entries, each byte counted once.

        Args:
            running: keys of the running prompt's nodes.
            needed: those of them that a node still to run takes as input.
            waiting: keys that the waiting prompt would take from the cache.
            held: values in use whose entries were dropped; what shares their memory frees nothing.
        """

        def use(key: str) -> Use:
            if key in needed:
                return Use.NEEDED
            if key in running:
                return Use.DONE
            return Use.REUSABLE if key in waiting else Use.EARLIER

        contents = {key: storages(entry.outputs) for key, entry in self._entries.items()}
        groups = _groups(contents)
        counted = set(storages(list(held)))
        found = []
        for key, entry in self._entries.items():
            mine = {i: size for i, size in contents[key].items() if i not in counted}
            counted |= mine.keys()
            found.append(CachedOutput(key, entry.node, use(key), sum(mine.values()), group=groups[key]))
        return found


def storages(value: Any) -> dict[int, int]:
    """Bytes of each memory block under the arrays in `value`, by its identity; a view counts as what it looks into."""
    found: dict[int, int] = {}
    for array in _arrays(value):
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        found[id(root)] = root.nbytes
    return found


def _arrays(value: Any) -> Iterator[Any]:
    if isinstance(value, np.ndarray):
        yield value
        return
    children: Iterable[Any] = ()
    if isinstance(value, Mapping):
        children = value.values()
    elif isinstance(value, (list, tuple)):
        children = value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        children = [getattr(value, f.name) for f in dataclasses.fields(value)]
    for child in children:
        yield from _arrays(child)


def _groups(contents: Mapping[str, Mapping[int, int]]) -> dict[str, int]:
    """A number for the entries that share a block, directly or through others; 0 for one that shares none."""
    leader: dict[str, str] = {key: key for key in contents}

    def find(key: str) -> str:
        while leader[key] != key:
            key = leader[key]
        return key

    owner: dict[int, str] = {}
    for key, blocks in contents.items():
        for block in blocks:
            leader[find(key)] = find(owner.setdefault(block, key))
    members: dict[str, list[str]] = {}
    for key in contents:
        members.setdefault(find(key), []).append(key)
    groups = dict.fromkeys(contents, 0)
    for number, keys in enumerate((m for m in members.values() if len(m) > 1), start=1):
        groups |= dict.fromkeys(keys, number)
    return groups
