"""What a node is to the embedded host: its inputs and outputs, and the function that runs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .embedded_files import Folders

MAX_RESOLUTION = 16384
"""Pixels on a side, as ComfyUI's core nodes allow."""


class Interrupted(Exception):  # noqa: N818 - it names what happened, as a person would
    """The running prompt was interrupted; raised inside a node, at its next look."""


@dataclass(frozen=True)
class Input:
    """An input of a node.

    Args:
        type: `INT`, `FLOAT`, `STRING`, `BOOLEAN`, `COMBO`, or the type of a link: `IMAGE`, `VIDEO`, `*` for any.
        options: what a `COMBO` may be.
    """

    type: str
    required: bool = True
    default: Any = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    options: tuple[str, ...] = ()

    @property
    def needs_link(self) -> bool:
        """Whether only a link can be its value."""
        return self.type not in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "*")

    def config(self) -> list[Any]:
        """As ComfyUI's `/object_info` and its validation errors tell it: `[type, {default, min, …}]`."""
        extra = {k: getattr(self, k) for k in ("default", "min", "max", "step") if getattr(self, k) is not None}
        return [list(self.options) if self.type == "COMBO" else self.type, extra]


@dataclass(frozen=True)
class NodeResult:
    """What a node made: a value for each output, and what a browser may show of it (`{"images": [...]}`)."""

    outputs: tuple[Any, ...] = ()
    ui: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class NodeContext:
    """What a node may ask of its host while it runs."""

    job_id: str
    node_id: str
    class_type: str
    folders: Folders
    graph: Mapping[str, Any] = field(repr=False)
    extra_pnginfo: Mapping[str, Any] = field(repr=False)
    interrupted: threading.Event = field(repr=False)
    report: Callable[[float, float], None] = field(repr=False)
    show: Callable[[str], None] = field(repr=False)
    """Shows a text on the node."""

    def check_interrupt(self) -> None:
        """Raise `Interrupted` if the prompt was interrupted."""
        if self.interrupted.is_set():
            raise Interrupted("interrupted")

    def progress(self, value: float, total: float) -> None:
        """Tell how far this node is, and `check_interrupt`."""
        self.check_interrupt()
        self.report(value, total)

    def wait(self, seconds: float) -> None:
        """Sleep; an interrupt ends it at once, with `Interrupted`."""
        if self.interrupted.wait(seconds):
            raise Interrupted("interrupted")


@dataclass(frozen=True)
class NodeKind:
    """A class of nodes.

    Args:
        run: called on the worker thread with the context and the inputs by name.
        outputs: the types of its outputs.
        cached: whether its outputs are kept for the next prompt. A kind that is not cached runs whenever something
            that depends on it has to run, and makes nothing re-run that need not.
    """

    name: str
    run: Callable[..., NodeResult]
    inputs: Mapping[str, Input] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    output_node: bool = False
    cached: bool = True
    category: str = ""
    display_name: str = ""
    description: str = ""
    output_names: tuple[str, ...] = ()
    fingerprint: Callable[..., Any] | None = None
    """Called with its id and its own values before a prompt runs; what it returns becomes part of its cache key."""

    def info(self) -> dict[str, Any]:
        """Describe it as ComfyUI's `GET /object_info` does."""
        required = {k: v.config() for k, v in self.inputs.items() if v.required}
        optional = {k: v.config() for k, v in self.inputs.items() if not v.required}
        groups = {"required": required} | ({"optional": optional} if optional else {})
        return {
            "input": groups,
            "input_order": {group: list(inputs) for group, inputs in groups.items()},
            "is_input_list": False,
            "output": list(self.outputs),
            "output_is_list": [False] * len(self.outputs),
            "output_name": list(self.output_names or self.outputs),
            "name": self.name,
            "display_name": self.display_name or self.name,
            "description": self.description,
            "python_module": "resource_gate.host",
            "category": self.category,
            "output_node": self.output_node,
        }
