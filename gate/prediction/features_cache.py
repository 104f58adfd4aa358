"""Features of prompts that differ only in what features do not look at: they are read once."""

from __future__ import annotations

import re
from collections import OrderedDict

from ..host import Queued
from .features import Features, features_of
from .sizes import FRAME_INPUTS, VALUE_INPUTS

KEPT = 64
"""Graphs; the oldest go first."""

LONGEST = 64 * 1024
"""Characters of a graph's JSON that is kept; a larger one is read each time, which is little beside what it runs."""

SIZE_INPUTS = (
    *FRAME_INPUTS,
    *VALUE_INPUTS,
    *("width", "height", "batch_size", "steps", "scale", "scale_by", "megapixels", "amount", "multiplier", "wanted"),
)
"""Inputs whose number features look at."""

OTHER_NUMBERS = re.compile(rf'"(?!(?:{"|".join(SIZE_INPUTS)})")[^"\\]*":-?\d[\d.eE+-]*(?=[,}}])')
"""The others, seeds above all, with their names: `"seed":123`."""


class FeaturesCache:
    """Any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, tuple[str, ...]], Features] = OrderedDict()

    def of(self, prompt: Queued) -> Features:
        """As `features_of`, for the sizes that are wired."""
        text = prompt.text
        if len(text) > LONGEST:
            return features_of(prompt.graph, prompt.outputs)
        key = OTHER_NUMBERS.sub("", text), prompt.outputs
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = features_of(prompt.graph, prompt.outputs)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found
