"""What a host answers that keeps no models and pins no memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..reclaim.host import LoadedModel


class NoModels:
    """The part of `MemoryHost` that is about models and pinned memory, where there are none."""

    def models(self) -> Sequence[LoadedModel]:
        """None."""
        return ()

    def unload_models(self, models: Iterable[LoadedModel]) -> None:
        """There are none."""

    def model_bytes(self, name: str) -> int:
        """There are no model files."""
        return 0

    def pinned_slack(self) -> int:
        """Nothing is pinned."""
        return 0

    def empty_pinned_cache(self) -> None:
        """There is none."""

    def pinned_weights(self) -> int:
        """There are no weights."""
        return 0

    def free_pins(self, goal: int) -> int:
        """There are none."""
        return 0
