"""Temp files by the names that prompts, histories and cached outputs give them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ANNOTATED = "[temp]"
"""Behind a file name in a node's input: ComfyUI's `folder_paths.annotated_filepath` reads it from the temp folder."""

LONGEST = 4096
"""Characters a path has at most (Linux' PATH_MAX)."""

MAX_LINES = 1000
"""Lines of one text that are read as paths: some nodes take a list of them."""

MAX_OBJECTS = 100_000
"""Objects looked at in one value, which takes some 50 ms; a preview of a thousand frames has four thousand."""

MAX_DEPTH = 6


class TempNames:
    """What in a value names a file of the temp folder.

    Args:
        root: the temp folder.

    Found are: `{"filename": …, "subfolder": …, "type": "temp"}` as browsers are shown it; `name.png [temp]`; and paths
    into the folder, whole or from the folder that holds it (`temp/name.png`).
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.normpath(root.absolute())
        self._parent = str(Path(self._root).parent)
        self.words = (ANNOTATED, root.name, os.path.basename(os.path.realpath(root)))  # noqa: PTH119
        """Of which all that names a file here holds one, but for a bare file name."""
        self._spellings = {os.path.normcase(p) + os.sep for p in (self._root, os.path.realpath(root))}

    def named(self, values: Iterable[Any], *, bare: bool = False) -> Iterator[str]:
        """Paths below the folder, normalized; whether they are there is not asked.

        Args:
            bare: take any text that could be a file name for one, too: as a node would that looks in the temp folder
                by itself.
        """
        for value in values:
            stack, seen = [(value, 0)], 0
            while stack and seen < MAX_OBJECTS:
                seen += 1
                current, depth = stack.pop()
                if isinstance(current, (str, os.PathLike)):
                    yield from self._in_text(os.fspath(current), bare)
                elif depth < MAX_DEPTH:
                    if isinstance(current, dict):
                        yield from self._shown(current)
                    stack += [(v, depth + 1) for v in _inside(current)]

    def _shown(self, value: Mapping[Any, Any]) -> Iterator[str]:
        name = value.get("filename")
        if value.get("type") == "temp" and isinstance(name, str) and name:
            yield from self._below(f"{value.get('subfolder') or ''}{os.sep}{name}".lstrip("/\\"))

    def _in_text(self, text: Any, bare: bool) -> Iterator[str]:
        if not isinstance(text, str) or not text or len(text) > LONGEST * MAX_LINES:
            return
        for line in text.splitlines()[:MAX_LINES]:
            name = line.strip().strip("\"'")
            if not name or len(name) > LONGEST:
                continue
            if name.endswith(ANNOTATED):
                yield from self._below(name[: -len(ANNOTATED)].rstrip())
                continue
            if os.sep in name or "/" in name:
                yield from self._below(name, self._parent)
            if bare and Path(name).suffix:
                yield from self._below(name)

    def _below(self, name: str, start: str | None = None) -> Iterator[str]:
        path = os.path.normpath(name if Path(name).is_absolute() else f"{start or self._root}{os.sep}{name}")
        for spelling in self._spellings:
            if os.path.normcase(path).startswith(spelling):
                yield f"{self._root}{os.sep}{path[len(spelling) :]}"
                return


def _inside(value: Any) -> Iterable[Any]:
    """What a container holds, and the attributes of a plain object such as a video that is read from its file.

    Of a mapping that is no dict, too: VideoHelperSuite's sound runs ffmpeg when it is looked at.
    """
    if isinstance(value, dict):
        return list(dict.values(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    # Asked of the class: an attribute of the object itself may run foreign code.
    kind = type(value)
    if kind is type or callable(value) or hasattr(kind, "model_size") or hasattr(kind, "untyped_storage"):
        return ()  # models and tensors: thousands of objects, and no temp file
    try:
        attributes = vars(value)
    except TypeError:
        return ()
    return () if "patcher" in attributes else list(attributes.values())
