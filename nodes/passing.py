"""The nodes, doing nothing: workflows that hold them must run even where the rest could not start."""

from __future__ import annotations

from collections.abc import Sequence

from . import batch_size, free_memory, resource_gate, resource_status
from .spec import PassNode


def passing_nodes() -> Sequence[PassNode]:
    """All of them; each passes its input through, and its own outputs tell that nothing is known."""

    def nothing(context: object, **widgets: object) -> None: ...

    return [
        resource_gate.describe(nothing),
        free_memory.describe(nothing),
        resource_status.describe(lambda context: resource_status.nothing_known()),
        batch_size.describe(batch_size.as_wanted),
    ]
