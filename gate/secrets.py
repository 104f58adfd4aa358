"""Takes out of a prompt what must never be written to disk: keys, tokens, passwords."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

EXACT = frozenset({"auth_token_comfy_org", "api_key_comfy_org", "sensitive"})
"""ComfyUI's own names for them in a prompt's extra data."""

# Texts, not compiled patterns: the first prompt compiles them, not every start of ComfyUI.
PATTERN = (
    r"(^|_)(token|password|passwd|passphrase|secret|credentials?|authorization|cookie|bearer"
    r"|(api|auth|access|secret|private|license|account|subscription|service)_?key|apikey)$"
)
"""On a name in snake case: `api_key`, `hf_token`, `clientSecret`; not `max_tokens`, `key`, `keyframe`."""

SHORTEST = 6
"""Characters below which a value under such a name is not looked for elsewhere: it would be found everywhere."""

WORDS = r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+"


PARTS = ("key", "token", "passw", "passphrase", "secret", "credential", "authoriz", "cookie", "bearer", "sensitive")
"""One of these is in every name that `names_a_secret` takes for one."""


def may_hold_secrets(text: str) -> bool:
    """Whether there may be such a name in this JSON; False spares a walk through all of it, as for nearly all."""
    lowered = text.lower()
    # An escape may stand for a letter that is another's small one: rare, and looked into.
    return "\\u" in lowered or any(part in lowered for part in PARTS)


@functools.lru_cache(maxsize=4096)
def names_a_secret(name: str) -> bool:
    """Whether a value under this name is kept from the disk."""
    return name in EXACT or re.search(PATTERN, re.sub(WORDS, "_", name).strip("_").lower()) is not None


def without_secrets(graph: Mapping[str, Any], extra: Mapping[str, Any]) -> tuple[Any, Any, list[str]]:
    """Return graph and extra data without secrets, and what of the *graph* was taken: `["12.api_key", …]`.

    A graph from which something was taken cannot be run again. The browser's copy of the workflow in the extra data
    lists widget values without names, so each value that was taken is looked for and blanked everywhere; and that copy
    has nodes which the graph has not (muted, bypassed, loose), see `_secret_widgets`.
    """
    values: set[str] = set()
    taken: list[str] = []
    found = [_find(tree, values) for tree in (graph, extra)]
    if not any(found):
        return graph, extra, []  # as nearly all are: no copy of a large workflow
    values = {v for v in values if len(v) >= SHORTEST}
    for node_id, node in graph.items():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        for name, value in inputs.items() if isinstance(inputs, dict) else ():
            if isinstance(value, str) and value and (names_a_secret(str(name)) or value in values):
                taken.append(f"{node_id}.{name}")
    return _blanked(graph, values, keep=True), _blanked(extra, values, keep=False), taken


def _find(tree: Any, values: set[str]) -> bool:
    """Collect the texts under such names; tells whether there is any such name at all."""
    found = False
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            if _some_name_a_secret(tuple(part)):
                found = True
                values.update(v for k, v in part.items() if isinstance(v, str) and names_a_secret(str(k)))
            places, certain = _secret_widgets(part)
            if places:
                found = True
                values.update(part["widgets_values"][at] for at in places if certain)
            part = part.values()
        stack += [value for value in part if isinstance(value, (dict, list, tuple))]
    return found


@functools.lru_cache(maxsize=4096)
def _some_name_a_secret(names: tuple[Any, ...]) -> bool:
    """Of a whole node's names at once: those of a class are the same in every prompt."""
    return any(isinstance(name, str) and names_a_secret(name) for name in names)


def _secret_widgets(node: Mapping[str, Any]) -> tuple[list[int], bool]:
    """Places in `widgets_values` that hold a secret, of a node as the browser keeps it; and whether they surely do.

    Its inputs name its widgets, in order (frontends since spring 2025). Where there are more values than names, as of
    the one beside a seed, nobody can tell which is which: then all its texts count, and none is looked for elsewhere.
    """
    slots, held = node.get("inputs"), node.get("widgets_values")
    if not isinstance(slots, list) or not isinstance(held, list):
        return [], False
    names = [slot.get("name") for slot in slots if isinstance(slot, dict) and "widget" in slot]
    places = [at for at, name in enumerate(names) if isinstance(name, str) and names_a_secret(name)]
    certain = len(names) == len(held)
    if places and not certain:
        places = list(range(len(held)))
    return [at for at in places if isinstance(held[at], str) and held[at]], certain


def _blanked(tree: Any, values: set[str], *, keep: bool) -> Any:
    """A copy; a secret's value is "" where names are to be kept, and its name goes too where not."""
    if isinstance(tree, dict):
        kept: dict[str, Any] = {}
        for name, value in tree.items():
            link = isinstance(value, (list, tuple))
            if names_a_secret(str(name)) and not (keep and link):
                if keep:
                    kept[name] = "" if isinstance(value, str) else _blanked(value, values, keep=keep)
            else:
                kept[name] = _blanked(value, values, keep=keep)
        for at in _secret_widgets(tree)[0]:
            kept["widgets_values"][at] = ""
        return kept
    if isinstance(tree, (list, tuple)):
        return [_blanked(value, values, keep=keep) for value in tree]
    return "" if isinstance(tree, str) and tree in values else tree
