"""ComfyUI's temp files: which of them queue, history and cached outputs refer to."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from ..reclaim.host import Place
from .temp_names import TempNames


class TempFiles:
    """What refers to files in the temp folder of one ComfyUI.

    Args:
        queue: `PromptServer.instance.prompt_queue`.
        folders: ComfyUI's `folder_paths`.
        wall: seconds since the epoch.
        modules: those that are loaded; None for this process's.
    """

    def __init__(
        self,
        queue: Any,
        folders: Any,
        wall: Callable[[], float] = time.time,
        modules: Callable[[], Iterable[Any]] | None = None,
    ) -> None:
        self._queue = queue
        self._folders = folders
        self._wall = wall
        self._modules = modules
        self._last_start = 0.0

    def folder(self) -> Path:
        """ComfyUI's temp folder; `--temp-directory` and other extensions may move it."""
        return Path(os.path.normpath(Path(self._folders.get_temp_directory()).absolute()))

    def kept_folders(self) -> list[Path]:
        """Folders that hold what cannot be made again."""
        find = (getattr(self._folders, f"get_{name}_directory", None) for name in ("output", "input", "user"))
        kept = [Path(found()) for found in find if found is not None]
        models = getattr(self._folders, "models_dir", None)
        return kept if models is None else [*kept, Path(models)]

    def about_to_start(self) -> None:
        """A prompt may leave the queue next: what is written from now on may be its own. On the worker thread."""
        self._last_start = self._wall()

    def running_since(self) -> float | None:
        """See `TempHost`; the epoch itself where the start was not seen. Any thread."""
        running, _ = self._queue.get_current_queue_volatile()
        return self._last_start if running else None

    def referenced(self) -> set[Path]:
        """Files that histories show, that prompts in history and queue name as inputs, and that node packs remember.

        Any thread.
        """
        from .comfyui_remembered import loaded_modules, remembered  # not at ComfyUI's start

        names = TempNames(self.folder())
        # The queue first: a prompt that goes on to the history in between is then found in both.
        running, pending = self._queue.get_current_queue_volatile()
        # Not by `get_history`: packs that keep users apart show there only what is one user's.
        with self._queue.mutex:
            ended = list(self._queue.history.values())
        found = set(names.named(_inputs(item[2] for item in (*running, *pending) if len(item) > 2), bare=True))
        found.update(names.named(ui for entry in ended for ui in _values(entry.get("outputs"))))
        prompts = (entry.get("prompt") for entry in ended)
        found.update(names.named(_inputs(p[2] for p in prompts if isinstance(p, (tuple, list)) and len(p) > 2)))
        packs = self._folders.get_folder_paths("custom_nodes")
        found.update(names.named(remembered(packs, names.words, self._modules or loaded_modules)))
        return {Path(path) for path in found}

    def release(self, caches: Any, paths: Set[str], place: Place) -> set[str]:
        """See `TempHost`. On the worker thread.

        Args:
            caches: the executor's `CacheSet`; None where there is no executor yet.
        """
        if caches is None or not paths:
            return set(paths)
        names = TempNames(self.folder())
        entries = list(_cached(caches))
        holders = Counter(id(value) for *_, outputs in entries for value in _leaves(outputs))
        kept: set[str] = set()
        for cache, key, shown, outputs in entries:
            kept.update(paths & set(names.named([outputs])))
            seen = paths & set(names.named([shown]))
            if not seen:
                continue
            if place != Place.BETWEEN_PROMPTS or _holds_its_own(outputs, holders):
                kept.update(seen)
            else:
                cache.cache.pop(key, None)
                holders.subtract(id(value) for value in _leaves(outputs))
        return set(paths - kept)


def _cached(caches: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    """All entries of the outputs cache: (cache, key, what browsers are shown, outputs).

    Before 0.3.66 what is shown lies in a cache of its own, under the same keys.
    """
    shown = {key: value for _, key, value in _entries(getattr(caches, "ui", None))}
    for cache, key, value in _entries(caches.outputs):
        if hasattr(value, "outputs"):
            yield cache, key, getattr(value, "ui", None), value.outputs
        else:
            yield cache, key, shown.get(key), value


def _entries(cache: Any) -> Iterator[tuple[Any, Any, Any]]:
    if not isinstance(getattr(cache, "cache", None), dict):
        return
    for key, value in cache.cache.items():
        yield cache, key, value
    for subcache in getattr(cache, "subcaches", {}).values():
        yield from _entries(subcache)


def _holds_its_own(outputs: Any, holders: Counter[int]) -> bool:
    """Whether an entry holds what no other does: its node did more than to show, and would have to do it again.

    A node that only passes on what it shows (as `PreviewImage` does of late) holds the very objects of the one before.
    """
    return any(isinstance(value, (str, bytes, int, float)) or holders[id(value)] < 2 for value in _leaves(outputs))


def _leaves(outputs: Any) -> Iterator[Any]:
    """The values in an entry's slots: a slot is a list with one for each time the node ran."""
    for slot in outputs or ():
        yield from (v for v in (slot if isinstance(slot, (list, tuple)) else [slot]) if v is not None)


def _inputs(graphs: Iterable[Any]) -> Iterator[Any]:
    """The inputs of all nodes of these graphs."""
    for graph in graphs:
        for node in _values(graph):
            if isinstance(node, Mapping):
                yield node.get("inputs")


def _values(value: Any) -> Iterable[Any]:
    return list(value.values()) if isinstance(value, Mapping) else ()
