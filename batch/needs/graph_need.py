"""What a whole prompt will need, before anything of it ran: the arithmetic of its pictures, from the graph alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLOAT = 4
"""Bytes of a value: ComfyUI passes pictures as float32 (reference: 97 × 1280×720 × 3 are 1.07 GB)."""
CHANNELS = 3
LENGTH_INPUTS = ("length", "frames", "num_frames", "frame_count", "video_frames", "video_length")
"""How core and the common video nodes name the number of frames; a `batch_size` beside it multiplies it."""
MAX_NODES = 20_000
"""Nodes of a graph beyond which it is not looked at: the largest real ones have some hundreds."""


@dataclass(frozen=True)
class GraphNeed:
    """Bytes of the pictures of one prompt; zeros where the graph does not tell.

    Attributes:
        total: all of them: a server keeps each node's output until the prompt has ended, and longer.
        largest: the largest one by itself. With less than this the prompt cannot run, however much is given back.
        from_files: whether a file's header said part of it, which nobody knows who has the graph alone.
    """

    total: int
    largest: int
    from_files: bool = False


@dataclass(frozen=True)
class Frames:
    """Pictures of one size: what a video file holds, or a node gives to the next one."""

    count: int
    width: int
    height: int

    @property
    def bytes(self) -> int:
        """Of them all as float32."""
        return self.count * self.width * self.height * CHANNELS * FLOAT


def signature(graph: Mapping[str, Any]) -> str:
    """Tell a kind of workflow from another: classes and links, whatever values are put in (hex)."""
    shape = {
        str(node_id): [content.get("class_type"), sorted(_links(content).items())]
        for node_id, content in graph.items()
        if isinstance(content, Mapping)
    }
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


def graph_need(graph: Mapping[str, Any], probe: Callable[[str], Frames | None] = lambda _: None) -> GraphNeed:
    """Add up the pictures that `graph` (API format) will make.

    A node with a width and a height makes as many pictures of that size as it says, or as it is given; one that
    scales or repeats pictures makes them anew; one that decodes a latent makes what the latent was sized for; one
    that names a video makes what is in the file. All others hand on what they were given.

    Args:
        probe: what is in the video file that a text input names; None where it names none.
    """
    if len(graph) > MAX_NODES:
        return GraphNeed(0, 0)
    walk = _Walk(graph, probe)
    made = [walk.made[node_id] for node_id in _in_order(graph) if walk.visit(node_id)]
    return GraphNeed(sum(made), max(made, default=0), walk.from_files)


class _Walk:
    """Goes through the nodes, inputs before the nodes that take them."""

    def __init__(self, graph: Mapping[str, Any], probe: Callable[[str], Frames | None]) -> None:
        self._graph, self._probe = graph, probe
        self._given: dict[str, Frames] = {}
        self.made: dict[str, int] = {}
        self.from_files = False

    def visit(self, node_id: str) -> bool:
        """Take in one node; whether it makes pictures."""
        content = self._graph[node_id]
        kind, inputs = str(content.get("class_type", "")), content.get("inputs") or {}
        before = {name: self._given[source] for name, (source, _) in _links(content).items() if source in self._given}
        found, new = self._own(inputs, max(before.values(), key=lambda frames: frames.bytes, default=None))
        if found is None:
            return False
        self._given[node_id] = found
        # A latent is a 48th of its pictures (1/64 of the cells, 4 channels for 3) and is counted with what it becomes.
        latent = "Latent" in kind and "samples" not in inputs
        decodes = "samples" in before and "vae" in inputs
        if latent or not (new or decodes):
            return False
        self.made[node_id] = found.bytes
        return True

    def _own(self, inputs: Mapping[str, Any], before: Frames | None) -> tuple[Frames | None, bool]:
        """What the node hands on, and whether it is not just what it was given."""
        for value in inputs.values():
            if isinstance(value, str) and (video := self._probe(value)) is not None:
                self.from_files = True
                return video, True
        width, height = _number(inputs, "width"), _number(inputs, "height")
        length = next((n for name in LENGTH_INPUTS if (n := _number(inputs, name))), None)
        batch = _number(inputs, "batch_size")
        count = (length or 1) * (batch or 1) if length or batch else None
        if width and height:
            return Frames(count or (before.count if before else 1), width, height), True
        if before is None:
            return None, False
        scale, amount = inputs.get("scale_by"), _number(inputs, "amount")
        factor = float(scale) if isinstance(scale, (int, float)) and 0 < scale <= 16 else 1.0
        frames = Frames(before.count * (amount or 1), int(before.width * factor), int(before.height * factor))
        return frames, "scale_by" in inputs or amount is not None


def probe_video(value: str) -> Frames | None:
    """What the video at a local path holds, as its header tells; None where it is none, or nothing here can tell."""
    if "." not in value[-6:]:
        return None
    try:
        import av  # not a requirement: without it the need of such a job is learned from the first ones
    except ImportError:
        return None
    path = Path(value)
    try:
        if not path.is_file():
            return None
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            seconds = float(container.duration or 0) / 1_000_000  # PyAV's time base, AV_TIME_BASE
            count = stream.frames or round(seconds * float(stream.average_rate or 0)) or 1
            return Frames(count, stream.codec_context.width, stream.codec_context.height)
    except (OSError, ValueError, IndexError):  # PyAV's errors are all one of the first two
        return None


def _links(content: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    inputs = content.get("inputs")
    return {
        str(name): (value[0], int(value[1]))
        for name, value in (inputs.items() if isinstance(inputs, Mapping) else ())
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
        if isinstance(value[1], (int, float))
    }


def _in_order(graph: Mapping[str, Any]) -> list[str]:
    """Nodes so that each comes after those it takes from; those in a cycle, which no server takes, are left out."""
    waiting = {
        node_id: {source for source, _ in _links(content).values() if source in graph}
        for node_id, content in graph.items()
        if isinstance(content, Mapping)
    }
    takers: dict[str, list[str]] = {}
    for node_id, sources in waiting.items():
        for source in sources:
            takers.setdefault(source, []).append(node_id)
    ready = [node_id for node_id, sources in waiting.items() if not sources]
    for node_id in ready:  # grows while it is gone through
        for taker in takers.get(node_id, ()):
            waiting[taker].discard(node_id)
            if not waiting[taker]:
                ready.append(taker)
    return ready


def _number(inputs: Mapping[str, Any], name: str) -> int | None:
    value = inputs.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 2**31:
        return int(value)
    return None
