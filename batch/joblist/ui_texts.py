"""Texts in which the UI lets one write `{this|that}` and comments: what it makes of them when one presses Run.

The UI picks one of the alternatives at random. A batch must plan the same jobs when it is planned again, so here it
is always the first; texts that shall differ from job to job are put in by `--set`.
Followed: `processDynamicPrompt` of ComfyUI's frontend 1.49.6.
"""

from __future__ import annotations

import re

_COMMENT = re.compile(r"/\*[\s\S]*?\*/|//.*")
_ESCAPED = re.compile(r"\\([{}|])")


def plain_text(text: str) -> tuple[str, bool]:
    """Return the text without comments and braces, and whether there was something to pick from.

    A backslash keeps a brace or a bar from being one.
    """
    made, picked = _picked(_COMMENT.sub("", text))
    return _ESCAPED.sub(r"\1", made), picked


def _picked(text: str) -> tuple[str, bool]:
    """Replace each outermost `{…}` by its first alternative; one that is never closed reaches to the end."""
    made: list[str] = []
    picked, at = False, 0
    while at < len(text):
        if text[at] == "\\":
            made.append(text[at : at + 2])
            at += 2
        elif text[at] == "{":
            first, several, at = _first(text, at + 1)
            inner, deeper = _picked(first)
            made.append(inner)
            picked = picked or several or deeper
        else:
            made.append(text[at])
            at += 1
    return "".join(made), picked


def _first(text: str, at: int) -> tuple[str, bool, int]:
    """Read a block that was opened before `at`: its first alternative, whether there are more, and where it ends."""
    first: list[str] = []
    depth, several = 0, False
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            letter = text[at : at + 2]
        elif letter == "}" and depth == 0:
            return "".join(first), several, at + 1
        elif letter == "|" and depth == 0:
            several = True
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if not several:
            first.append(letter)
        at += len(letter)
    return "".join(first), several, at
