"""How a node is described, free of ComfyUI: a host turns the description into its own kind of class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

CATEGORY = "resource gate"


class Widget(NamedTuple):
    """An input a user sets on the node. `kind` decides which of the other fields count."""

    name: str
    kind: Literal["int", "float", "bool", "choice"]
    default: Any
    tooltip: str
    low: float = 0
    high: float = 100
    step: float = 1
    choices: Sequence[str] = ()


class Output(NamedTuple):
    """An output besides the value passed through."""

    name: str
    kind: Literal["int", "float", "string"]


class NodeContext(Protocol):
    """What a running node may ask of its host."""

    node_id: str

    def check_interrupt(self) -> None:
        """Raise the host's own exception if the user interrupted."""
        ...

    def show(self, text: str) -> None:
        """Show a text on the node."""
        ...

    def progress(self, value: float, total: float) -> None:
        """Show on the node's own bar how far it is; raises as `check_interrupt`."""
        ...

    def run_again(self) -> None:
        """Run in every later prompt in which something that follows must run; and make nothing run by that."""
        ...


class PassNode(NamedTuple):
    """A node that does something and passes `value` through, whatever its type; a list passes as one."""

    id: str
    display_name: str
    description: str
    widgets: tuple[Widget, ...]
    run: Callable[..., tuple[Any, ...] | None]
    """Called as `run(context, **widget values)`; returns the values of `outputs`, in their order."""
    outputs: tuple[Output, ...] = ()
    passes: bool = True
    """Whether `value` comes out again. Else it is only a wire that may be left loose."""
    fingerprint: Callable[..., Any] | None = None
    """Called as `fingerprint(node_id, **widget values)` before a prompt runs; where it returns the same as last time
    and no input changed, the node and what follows it are taken from the cache. None: it is never asked."""
