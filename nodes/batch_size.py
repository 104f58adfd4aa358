"""The node *Adaptive Batch Size*: the largest number of items or frames that fits now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..gate.batch_size import GIB, BatchSizes, Wish
from .spec import NodeContext, Output, PassNode, Widget

MOST = 100_000


def describe(run: Callable[..., tuple[Any, ...]], fingerprint: Callable[..., Any] | None = None) -> PassNode:
    """The node as ComfyUI shows it; `run` is what it does, `fingerprint` tells when it would do something else."""
    return PassNode(
        "ResourceGateBatchSize",
        "Adaptive Batch Size",
        "Tells the largest number of items or frames that fits into memory now, up to what is wanted. "
        "It learns from each run: wire it to a batch size, a length or a frame count.",
        (
            Widget("wanted", "int", 81, "As many items or frames as you would like.", 1, MOST),
            Widget("step", "int", 1, "Only multiples of this.", 1, 1024),
            Widget(
                "plus_one", "bool", False, "One more than a multiple: with step 4, the 4n+1 that video models ask for."
            ),
            Widget("keep_free", "float", 0.5, "GB of memory, and of GPU memory, to leave free.", 0, 1024, 0.1),
        ),
        run,
        (Output("size", "int"), Output("reason", "string")),
        passes=False,
        fingerprint=fingerprint,
    )


def as_wanted(context: object, *, wanted: int = 81, step: int = 1, plus_one: bool = False, **_: Any) -> tuple[Any, ...]:
    """The outputs where nothing can be predicted: as many as wanted, as far as the step allows."""
    wish = Wish(wanted, step, plus_one)
    return wish.rung(wish.rungs - 1), "Resource Gate is off: as many as wanted"


class BatchSizeNode:
    """What the node does. One object serves all nodes of its kind."""

    def __init__(self, sizes: BatchSizes) -> None:
        self._sizes = sizes

    @property
    def spec(self) -> PassNode:
        """The node's description, bound to this object."""
        return describe(self.run, self.fingerprint)

    def run(
        self,
        context: NodeContext,
        *,
        wanted: int = 81,
        step: int = 1,
        plus_one: bool = False,
        keep_free: float = 0.5,
    ) -> tuple[Any, ...]:
        """Choose, show why, and return size and reason."""
        context.check_interrupt()
        choice = self._sizes.choose(context.node_id, _wish(wanted, step, plus_one, keep_free))
        context.show(choice.reason)
        return choice.size, choice.reason

    def fingerprint(
        self, node_id: str, wanted: int | None = None, step: int = 1, plus_one: bool = False, keep_free: float = 0.5
    ) -> int | str:
        """The size that it would choose: what follows is made anew when that is another one, and only then.

        Where `wanted` is a link it is not known yet, and a size that was chosen stays as long as the inputs do.
        """
        if wanted is None:
            return "linked"
        return self._sizes.choose(node_id, _wish(wanted, step, plus_one, keep_free)).size


def _wish(wanted: int, step: int, plus_one: bool, keep_free: float) -> Wish:
    return Wish(max(1, int(wanted)), max(1, int(step)), bool(plus_one), int(keep_free * GIB))
