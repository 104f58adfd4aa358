"""How large the pictures of a prompt are, by its graph: width × height × frames, through links and primitives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Graph = Mapping[str, Any]

SIZE_NODE = "ResourceGateBatchSize"
"""Our node whose output is a number of items that is chosen when the prompt runs."""

FRAME_INPUTS = ("length", "num_frames", "video_frames", "frames", "frame_count", "video_length", "frame_load_cap")
"""Inputs that number frames, as core nodes and the common video packs call them."""

VALUE_INPUTS = ("value", "int", "number", "float", "a")
"""Inputs of primitive nodes that hold the number they hand on."""

JOINS = frozenset({"ImageBatch", "BatchImagesNode"})
"""Core nodes that lay their picture batches one behind the other, all of the first one's size."""

LONGEST_CHAIN = 16
"""Primitives and reroutes followed from one input to its number."""

HUGE = 1 << 40
"""Pixels above which a size is a typing mistake, and is cut."""


class Shape(NamedTuple):
    """Pixels a side, and pictures."""

    width: float
    height: float
    frames: float

    @property
    def volume(self) -> float:
        """Pixels of all frames."""
        return min(self.width * self.height * self.frames, HUGE)


def inputs_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node's inputs; none where what stands there is no object: a graph that is only guessed at may be no graph."""
    inputs = node.get("inputs")
    return inputs if isinstance(inputs, Mapping) else {}


def link_of(value: Any) -> str | None:
    """The node that an input is linked to; None for a value."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return value[0]
    return None


class Sizes:
    """Resolves numbers and shapes of one graph.

    Args:
        sizes: the number chosen for a node of kind `SIZE_NODE`, by node id; its `wanted` where none is given.
    """

    def __init__(self, graph: Graph, sizes: Mapping[str, int] | None = None) -> None:
        self._graph = graph
        self._sizes = sizes or {}
        self.shapes: dict[str, Shape | None] = {}
        """What each node hands on, as far as that can be told."""
        self.made: dict[str, float] = {}
        """Pixels that each node makes anew, of those that make any."""

    def number(self, value: Any) -> float | None:
        """The number an input holds, its links followed; None where it is none, or 0 or less."""
        for _ in range(LONGEST_CHAIN):
            if not isinstance(value, list):
                break
            source = link_of(value)
            node = self._graph.get(source) if source is not None else None
            if source is None or not isinstance(node, Mapping):
                return None
            inputs = inputs_of(node)
            if node.get("class_type") == SIZE_NODE:
                value = self._sizes.get(source, inputs.get("wanted"))
            elif len(links := [v for v in inputs.values() if isinstance(v, list)]) == 1 and len(inputs) == 1:
                value = links[0]  # a reroute
            else:
                value = next((inputs[n] for n in VALUE_INPUTS if n in inputs), None)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 2**31:
            return float(value)
        return None

    def walk(self, targets: Mapping[str, Any] | tuple[str, ...]) -> list[str]:
        """Nodes that `targets` need, sources first, with `shapes` and `made` filled for them. Cycles are cut."""
        graph, order, seen = self._graph, [], set()
        stack: list[tuple[str, bool]] = [(t, False) for t in targets]
        while stack:
            node_id, ready = stack.pop()
            node = graph.get(node_id)
            if not isinstance(node, Mapping):
                continue
            if ready:
                order.append(node_id)
                self._shape(node_id, inputs_of(node))
            elif node_id not in seen:
                seen.add(node_id)
                stack.append((node_id, True))
                for value in inputs_of(node).values():
                    if isinstance(value, list) and (source := link_of(value)) is not None and source not in seen:
                        stack.append((source, False))
        return order

    def _shape(self, node_id: str, inputs: Mapping[str, Any]) -> None:
        up: Shape | None = None
        given = []
        for value in inputs.values():
            if isinstance(value, list) and (source := link_of(value)) is not None:
                shape = self.shapes.get(source)
                if shape is not None:
                    given.append(shape)
                    if up is None or shape.volume > up.volume:
                        up = shape
        if len(given) > 1 and str(self._graph[node_id].get("class_type")) in JOINS:
            found: Shape | None = Shape(given[0].width, given[0].height, sum(shape.frames for shape in given))
        else:
            found = self._own(inputs, up)
        self.shapes[node_id] = found
        if found is not None and found is not up:
            self.made[node_id] = found.volume

    def _own(self, inputs: Mapping[str, Any], up: Shape | None) -> Shape | None:
        """The shape of a node's output; `up` itself where it only hands on what it was given."""
        get, number = inputs.get, self.number
        width, height = number(get("width")), number(get("height"))
        frames = next((f for n in FRAME_INPUTS if n in inputs and (f := number(inputs[n]))), None)
        if width and height:
            if frames is None:
                frames = up.frames if up is not None else number(get("batch_size")) or 1.0
            elif "batch_size" in inputs:
                frames *= number(inputs["batch_size"]) or 1.0
            return Shape(width, height, frames)
        if up is None:
            return None
        changed = up
        if (width or height) and "width" in inputs and "height" in inputs:  # 0 on one side keeps the ratio
            factor = width / up.width if width else (height or 1.0) / up.height
            changed = Shape(up.width * factor, up.height * factor, up.frames)
        by = number(get("scale_by")) or number(get("scale"))
        if by is not None and by <= 16 and by != 1:
            changed = Shape(changed.width * by, changed.height * by, changed.frames)
        if (megapixels := number(get("megapixels"))) is not None:
            factor = (megapixels * 1024 * 1024 / (up.width * up.height)) ** 0.5
            changed = Shape(up.width * factor, up.height * factor, up.frames)
        if (amount := number(get("amount"))) is not None:
            changed = Shape(changed.width, changed.height, changed.frames * amount)
        if (times := number(get("multiplier"))) is not None and times <= 16 and times == int(times) and times > 1:
            changed = Shape(changed.width, changed.height, changed.frames * times)
        if frames is not None and frames < changed.frames:
            changed = Shape(changed.width, changed.height, frames)
        return changed
