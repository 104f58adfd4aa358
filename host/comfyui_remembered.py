"""What node packs keep in variables of their modules: some remember there which files they have put into temp."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any

MOST_OBJECTS = 2000
"""Looked at in one variable: what a pack remembers of files is small, and its vocabularies are not."""

LONGEST = 4096
"""Characters a path has at most (Linux' PATH_MAX)."""

MAPPINGS = (dict, OrderedDict, defaultdict)
SEQUENCES = (list, tuple, set, frozenset, deque)
"""Exactly these: what derives from them may run foreign code when it is looked at."""


def loaded_modules() -> Iterable[Any]:
    """All of this process."""
    return list(sys.modules.values())


def remembered(
    packs: Iterable[str], words: Iterable[str], modules: Callable[[], Iterable[Any]] = loaded_modules
) -> Iterator[str]:
    """Texts and paths in variables of modules below these folders, in containers too. Runs no code of theirs.

    VideoHelperSuite, for one, downloads a video once, notes the path, and hands it out without looking again.

    Args:
        packs: folders that hold node packs.
        words: of which a text must hold one: a quick look at the many that are no paths into temp.
    """
    roots = tuple(os.path.normcase(os.path.join(os.path.normpath(folder), "")) for folder in packs)  # noqa: PTH118
    words = tuple(words)
    for module in modules():
        variables = getattr(module, "__dict__", None)
        file = variables.get("__file__") if type(variables) is dict else None
        if variables is not None and isinstance(file, str) and os.path.normcase(file).startswith(roots):
            for value in list(variables.values()):
                for text in _texts(value):
                    if len(text) <= LONGEST and any(word in text for word in words):
                        yield text


def _texts(value: Any) -> Iterator[str]:
    stack, seen = [value], 0
    while stack and seen < MOST_OBJECTS:
        seen += 1
        current = stack.pop()
        kind = type(current)
        if kind is str:
            yield current
        elif issubclass(kind, PurePath):
            yield os.fspath(current)
        elif kind in MAPPINGS:
            stack += [one for pair in list(current.items())[:MOST_OBJECTS] for one in pair]
        elif kind in SEQUENCES:
            stack += list(current)[:MOST_OBJECTS]
