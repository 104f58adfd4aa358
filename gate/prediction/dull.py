"""Families of prompts that take next to nothing: of those, one run in many says as much as all of them."""

from __future__ import annotations

from collections import OrderedDict

SECONDS = 0.25
"""A run that takes less, and less than `BYTES` of RAM and of VRAM, is a small one."""

BYTES = 16 * 1024**2

SETTLED = 8
"""Small runs in a row after which a family is dull."""

ONE_IN = 16
"""Runs of a dull family of which one is learned from."""

FAMILIES = 200
"""Remembered; those not seen longest go first."""


class DullFamilies:
    """Counts small runs in a row, by family. On the worker thread."""

    def __init__(self) -> None:
        self._small: OrderedDict[str, int] = OrderedDict()

    def passes_over(self, family: str, seconds: float, ram: int, vram: int) -> bool:
        """Whether nothing is to be learned from this run, which went well.

        Args:
            ram, vram: bytes that it took.
        """
        if seconds >= SECONDS or ram >= BYTES or vram >= BYTES:
            self._small.pop(family, None)
            return False
        count = self._small[family] = self._small.get(family, 0) + 1
        self._small.move_to_end(family)
        while len(self._small) > FAMILIES:
            self._small.popitem(last=False)
        return count > SETTLED and count % ONE_IN != 0
