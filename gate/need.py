"""What a node will need, before it runs: tensor arithmetic at first, corrected by what its kind really took."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

FLOAT = 4
"""Bytes of a value: ComfyUI passes images and latents as float32."""

LATENT_SCALE = 8
"""Pixels per latent cell and side, as of the common image and video VAEs."""

LATENT_FRAMES = 4
"""Frames per latent time step, as of the common video VAEs; the first step is one frame (4n+1)."""

MARGIN = 1.1
"""On what a kind of node was seen to take: the next one may take a little more."""

NOISE = 16 * 1024**2
"""Bytes of arithmetic below which growth is the node's own fixed cost (a library loaded, say), not a multiple."""

REMEMBERED = 8
"""Runs of a kind of node whose worst counts; older ones are forgotten."""

DEPTH = 4

PLAIN = frozenset({int, float, str, bool, type(None)})
"""Types of what holds no array: most inputs, and this is asked before each node."""


def _shapes(value: Any, depth: int = 0) -> Iterator[tuple[int, ...]]:
    """The shapes of the arrays in a node's input: bare, in lists, in a latent's dict, in a video's attributes."""
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "dtype"):
        yield tuple(int(n) for n in shape)
    elif depth < DEPTH:
        if isinstance(value, dict):  # no other mapping: VideoHelperSuite's sound runs ffmpeg when it is looked at
            children: Any = dict.values(value)
        elif isinstance(value, (list, tuple)):
            children = value[:64]
        else:
            return
        for child in children:
            yield from _shapes(child, depth + 1)


def _volume(shape: tuple[int, ...]) -> int:
    product = 1
    for n in shape:
        product *= n
    return product


def _number(inputs: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = inputs.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 2**31:
            return int(value)
    return None


def arithmetic_need(inputs: Mapping[str, Any]) -> int:
    """Bytes of the tensor a node is likely to make, from the shapes and sizes it is given.

    Images are `[frames, height, width, channels]` float32; a latent is `{"samples": [batch, channels, (time,)
    height / 8, width / 8]}` and makes pixels where a VAE comes with it; `width`, `height` and a frame count make a
    new image (or, where one is given, scale it). 0 where nothing tells.
    """
    held = [(name, value) for name, value in inputs.items() if type(value) not in PLAIN]
    if not held and "width" not in inputs:
        return 0
    needs = [0]
    width, height = _number(inputs, "width"), _number(inputs, "height")
    images = [s for name, v in held if name != "samples" for s in _shapes(v) if len(s) in (3, 4)]
    samples = inputs.get("samples")
    if isinstance(samples, dict):  # of a latent's dict only them: its noise mask is as large as the picture
        samples = samples.get("samples")
    latents = [s for s in _shapes(samples) if len(s) in (4, 5)]
    frames = max([s[0] for s in images if len(s) == 4], default=0)
    if width and height:
        count = frames or _number(inputs, "batch_size", "length", "frames", "amount") or 1
        needs.append(count * width * height * 3 * FLOAT)
    scale = inputs.get("scale_by", inputs.get("scale"))
    factor = float(scale) ** 2 if isinstance(scale, (int, float)) and 0 < scale <= 16 else 1.0
    needs += [int(_volume(s) * FLOAT * factor) for s in images]
    amount = _number(inputs, "amount")
    if amount and images:
        needs.append(max(_volume(s) for s in images) * FLOAT * amount)
    if "vae" in inputs:
        for shape in latents:
            count = shape[0] * ((shape[2] - 1) * LATENT_FRAMES + 1 if len(shape) == 5 else 1)
            needs.append(count * shape[-1] * shape[-2] * LATENT_SCALE**2 * 3 * FLOAT)
    return max(needs)


SETTLED = 3
"""Runs that took next to nothing, after which a kind of node is taken to be small."""

PASSED_OVER = 50
"""Runs of a small kind of which one is measured."""


class NodeNeeds:
    """What kinds of nodes were seen to take, as a factor of the arithmetic or, where that says little, in bytes."""

    def __init__(self) -> None:
        self._factors: dict[str, deque[float]] = {}
        self._bytes: dict[str, deque[int]] = {}
        self._passed_over: dict[str, int] = {}

    def worth_measuring(self, kind: str, arithmetic: int) -> bool:
        """Whether a run of this kind can teach anything: most nodes of most graphs take next to nothing, every time.

        Those are passed over, but for one in `PASSED_OVER`, so that a kind that changed its ways is noticed.
        """
        known = self._bytes.get(kind, ())
        if arithmetic >= NOISE or len(known) < SETTLED or max(known) >= NOISE:
            return True
        self._passed_over[kind] = (self._passed_over.get(kind, 0) + 1) % PASSED_OVER
        return self._passed_over[kind] == 0

    def expect(self, kind: str, arithmetic: int) -> int:
        """Bytes above what is used now that a node will reach at its peak, given its kind and what arithmetic says."""
        if arithmetic >= NOISE:
            seen = self._factors.get(kind)
            return int(arithmetic * (max(seen) * MARGIN if seen else 1.0))
        known = self._bytes.get(kind)
        return int(max(known) * MARGIN) if known else arithmetic

    def learn(self, kind: str, arithmetic: int, grew: int) -> None:
        """Take note that a node whose arithmetic said so many bytes grew the process by `grew` at its peak."""
        grew = max(0, grew)
        if arithmetic >= NOISE:
            self._factors.setdefault(kind, deque(maxlen=REMEMBERED)).append(grew / arithmetic)
        else:
            self._bytes.setdefault(kind, deque(maxlen=REMEMBERED)).append(grew)
