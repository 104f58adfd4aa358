"""Node descriptions of `nodes/` into kinds of the embedded host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..nodes.spec import CATEGORY, PassNode, Widget
from .embedded import EmbeddedHost
from .embedded_kinds import Input, NodeContext, NodeKind, NodeResult


class _Context:
    """The `NodeContext` that `nodes/` asks for."""

    def __init__(self, context: NodeContext) -> None:
        self.node_id = context.node_id
        self.check_interrupt = context.check_interrupt
        self.show = context.show
        self.progress = context.progress

    def run_again(self) -> None:
        """Nothing to do: a kind that is not cached runs again by itself."""


def add_nodes(host: EmbeddedHost, specs: Iterable[PassNode]) -> None:
    """Make these nodes known to one host."""
    for spec in specs:
        host.nodes[spec.id] = pass_kind(spec)


def pass_kind(spec: PassNode) -> NodeKind:
    """A kind that does what `spec` says, then hands on its `value`; it runs whenever something behind it must."""

    def run(context: NodeContext, value: Any = None, **widgets: Any) -> NodeResult:
        told = spec.run(_Context(context), **widgets)
        return NodeResult((*([value] if spec.passes else []), *(told or ())))

    passed = ("value",) if spec.passes else ()

    return NodeKind(
        spec.id,
        run,
        {"value": Input("*", required=spec.passes), **{w.name: _input(w) for w in spec.widgets}},
        (*("*" for _ in passed), *(o.kind.upper() for o in spec.outputs)),
        cached=spec.fingerprint is not None,
        category=CATEGORY,
        display_name=spec.display_name,
        description=spec.description,
        output_names=(*passed, *(o.name for o in spec.outputs)),
        fingerprint=spec.fingerprint,
    )


def _input(widget: Widget) -> Input:
    if widget.kind == "choice":
        return Input("COMBO", default=widget.default, options=tuple(widget.choices))
    if widget.kind == "bool":
        return Input("BOOLEAN", default=widget.default)
    kind = "INT" if widget.kind == "int" else "FLOAT"
    return Input(kind, default=widget.default, min=widget.low, max=widget.high, step=widget.step)
