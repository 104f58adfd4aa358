"""Node descriptions into ComfyUI's V3 node classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..nodes.spec import CATEGORY, Output, PassNode, Widget
from .comfyui import ComfyUIHost


class _Context:
    """`NodeContext` of one run of one node."""

    def __init__(self, host: ComfyUIHost | None, node_id: str) -> None:
        self.node_id = node_id
        self._host = host

    def check_interrupt(self) -> None:
        if self._host is not None:
            self._host.check_interrupt()

    def show(self, text: str) -> None:
        if self._host is not None:
            self._host.show_on_node(self.node_id, text)

    def progress(self, value: float, total: float) -> None:
        if self._host is not None:
            self._host.progress_of_node(self.node_id, value, total)

    def run_again(self) -> None:
        if self._host is not None:
            self._host.run_again(self.node_id)


def comfyui_extension(host: ComfyUIHost | None, specs: Sequence[PassNode]) -> Any:
    """The `ComfyExtension` that ComfyUI asks for its list of nodes; with no host they only pass their input through."""
    from comfy_api.latest import ComfyExtension

    class ResourceGateExtension(ComfyExtension):  # type: ignore[misc]  # ComfyUI is not there when types are checked
        async def get_node_list(self) -> list[Any]:
            return [node_class(host, spec) for spec in specs]

    return ResourceGateExtension()


def node_class(host: ComfyUIHost | None, spec: PassNode) -> Any:
    """A V3 class. ComfyUI runs clones of it, so it holds nothing but `host` and `spec`."""
    from comfy_api.latest import io

    def define_schema(cls: Any) -> Any:
        return io.Schema(
            node_id=spec.id,
            display_name=spec.display_name,
            category=CATEGORY,
            description=spec.description,
            # As a list, the node runs once for all items instead of once for each.
            is_input_list=True,
            inputs=[
                _value(io, spec),
                *(_input(io, w) for w in spec.widgets),
            ],
            outputs=[
                *([io.AnyType.Output("passed", display_name="value", is_output_list=True)] if spec.passes else []),
                *(_output(io, o) for o in spec.outputs),
            ],
            hidden=[io.Hidden.unique_id],
        )

    def execute(cls: Any, /, value: list[Any] | None = None, **widgets: list[Any]) -> Any:
        context = _Context(host, str(cls.hidden.unique_id))
        told = spec.run(context, **{name: values[0] for name, values in widgets.items()})
        return io.NodeOutput(*([value] if spec.passes else []), *(told or ()))

    def fingerprint_inputs(cls: Any, /, value: Any = None, **widgets: list[Any]) -> Any:
        assert spec.fingerprint is not None
        # Of an input that is linked, nothing is known yet: ComfyUI gives None.
        given = {name: values[0] for name, values in widgets.items() if values and values[0] is not None}
        return spec.fingerprint(str(cls.hidden.unique_id), **given)

    methods = {"define_schema": classmethod(define_schema), "execute": classmethod(execute)}
    if spec.fingerprint is not None:
        methods["fingerprint_inputs"] = classmethod(fingerprint_inputs)
    return type(spec.id, (io.ComfyNode,), methods)


def _value(io: Any, spec: PassNode) -> Any:
    if spec.passes:
        return io.AnyType.Input("value", tooltip="Anything; it is passed through unchanged.")
    return io.AnyType.Input(
        "value", optional=True, tooltip="Anything that must be there first; it may stay unconnected."
    )


def _output(io: Any, output: Output) -> Any:
    kind = {"int": io.Int, "float": io.Float, "string": io.String}[output.kind]
    return kind.Output(output.name, display_name=output.name)


def _input(io: Any, widget: Widget) -> Any:
    make: dict[str, Callable[[], Any]] = {
        "int": lambda: io.Int.Input(
            widget.name,
            default=widget.default,
            min=int(widget.low),
            max=int(widget.high),
            step=int(widget.step),
            tooltip=widget.tooltip,
        ),
        "float": lambda: io.Float.Input(
            widget.name,
            default=widget.default,
            min=widget.low,
            max=widget.high,
            step=widget.step,
            tooltip=widget.tooltip,
        ),
        "bool": lambda: io.Boolean.Input(widget.name, default=widget.default, tooltip=widget.tooltip),
        "choice": lambda: io.Combo.Input(
            widget.name, options=list(widget.choices), default=widget.default, tooltip=widget.tooltip
        ),
    }
    return make[widget.kind]()
