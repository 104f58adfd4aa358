"""What a prompt is, before it runs: which family of workflows it belongs to, and how large it is."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from .sizes import SIZE_NODE, Graph, Sizes, inputs_of

CHANNELS, FLOAT = 3, 4
"""Of a picture as ComfyUI passes it: three channels of float32."""

MODEL_ENDS = (".safetensors", ".ckpt", ".pt", ".pth", ".gguf", ".sft", ".bin", ".onnx", ".engine")
"""How the names of model files end."""

CHOICES = frozenset(
    [
        "upscale_method",
        "codec",
        "format.codec",
        "format",
        "sampler_name",
        "scheduler",
        "weight_dtype",
        "dtype",
        "precision",
        "device",
        "type",
        "attention_mode",
        "quantization",
        "crf",
        "pix_fmt",
    ]
)
"""Inputs whose value changes what a run costs, and that are picked from a list rather than typed."""

NO_KIND = ("Primitive", "Reroute", "Note", "MarkdownNote", "ResourceGate")
"""How the names of nodes begin that compute nothing: a workflow stays in its family with or without them."""

SIZE_NAMES = ("largest", "total", "work")


class Step(NamedTuple):
    """A node that will run: its id and kind, the pixels of what it hands on, and whether it makes those anew or names
    a model file."""

    id: str
    kind: str
    pixels: float
    makes: bool
    loads: bool


class Features(NamedTuple):
    """A prompt in numbers.

    Attributes:
        family: the same for prompts of the same node kinds, models and choices, whatever their seeds, texts and sizes.
        kinds: the node kinds, sorted, each once; for a person, and to find a similar family.
        models: names of model files.
        largest: pixels of the largest picture batch that a node makes: width × height × frames.
        total: pixels of all that nodes make anew, together.
        work: sampling steps × pixels, together.
        frames: of the largest picture batch.
        makers: pixels by id of each node that makes any.
        loaders: ids of the nodes that name a model file.
        size_nodes: ids of the nodes that choose a batch size when they run.
        steps: those nodes that hand on pictures or load models, sources first.
    """

    family: str
    kinds: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    largest: float = 0.0
    total: float = 0.0
    work: float = 0.0
    frames: float = 0.0
    makers: Mapping[str, float] = MappingProxyType({})
    loaders: frozenset[str] = frozenset()
    size_nodes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def sizes(self) -> tuple[float, float, float]:
        """What the need grows with, in the order of `SIZE_NAMES`."""
        return self.largest, self.total, self.work

    @property
    def arithmetic(self) -> float:
        """Bytes of the tensors that nodes make, together: frames × height × width × channels × 4."""
        return self.total * CHANNELS * FLOAT


def features_of(graph: Graph, outputs: Sequence[str] = (), sizes: Mapping[str, int] | None = None) -> Features:
    """Read a graph in API format; what cannot be read counts as nothing, nothing is raised for it.

    Args:
        outputs: ids of the output nodes that will run; all nodes where it is empty.
        sizes: the numbers that nodes of kind *Adaptive Batch Size* chose, by node id.
    """
    walk = Sizes(graph, sizes)
    order = walk.walk(tuple(outputs) or graph)
    kinds: Counter[str] = Counter()
    models: set[str] = set()
    loaders: set[str] = set()
    choices: set[str] = set()
    size_nodes = []
    steps = []
    work = 0.0
    for node_id in order:
        node = graph[node_id]
        kind = str(node.get("class_type", ""))
        inputs = inputs_of(node)
        if kind == SIZE_NODE:
            size_nodes.append(node_id)
        if kind.startswith(NO_KIND):
            continue
        kinds[kind] += 1
        for name, value in inputs.items():
            if isinstance(value, str):
                if value.lower().endswith(MODEL_ENDS):
                    models.add(value)
                    loaders.add(node_id)
                elif name in CHOICES:
                    choices.add(f"{kind}.{name}={value}")
        shape = walk.shapes.get(node_id)
        if shape is not None or node_id in loaders:
            pixels = shape.volume if shape is not None else 0.0
            steps.append(Step(node_id, kind, pixels, node_id in walk.made, node_id in loaders))
        if "steps" in inputs:
            work += (walk.number(inputs["steps"]) or 0.0) * (shape.volume if shape is not None else 0.0)
    counted = sorted(kinds.items())
    text = repr((counted, sorted(models), sorted(choices)))
    return Features(
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest(),
        tuple(kind for kind, _ in counted),
        tuple(sorted(models)),
        max(walk.made.values(), default=0.0),
        sum(walk.made.values()),
        work,
        max(((s.volume, s.frames) for s in walk.shapes.values() if s is not None), default=(0.0, 0.0))[1],
        walk.made,
        frozenset(loaders),
        tuple(size_nodes),
        tuple(steps),
    )


def likeness(one: Features, kinds: Sequence[str], models: Sequence[str]) -> float:
    """How alike a prompt and a family are, 0–1: shared node kinds and models among all of both (Jaccard)."""
    mine, other = {*one.kinds, *one.models}, {*kinds, *models}
    return len(mine & other) / len(mine | other) if mine or other else 0.0


def told(features: Features) -> dict[str, Any]:
    """The family as a person reads it: kinds, models."""
    return {"kinds": list(features.kinds), "models": list(features.models)}
