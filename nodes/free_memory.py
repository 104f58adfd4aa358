"""The node *Free Memory*: gives memory back at one point of a workflow, then passes its input through."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable

from ..reclaim.action import human
from ..reclaim.host import MemoryHost, Use
from ..reclaim.rungs import trim_heap
from .spec import NodeContext, PassNode, Widget

log = logging.getLogger(__name__)


def describe(run: Callable[..., None]) -> PassNode:
    """The node as ComfyUI shows it; `run` is what it does."""
    return PassNode(
        "ResourceGateFreeMemory",
        "Free Memory",
        "Frees memory when the workflow gets here, and passes its input through. "
        "What later nodes of this run need is kept.",
        (
            Widget(
                "models",
                "choice",
                "unused",
                "Models to take off the GPU: those that no later node of this run uses, all, or none.",
                choices=("unused", "all", "none"),
            ),
            Widget(
                "drop_outputs",
                "bool",
                False,
                "Also drop cached outputs of this run that no later node needs. "
                "They are made again when the workflow runs again.",
            ),
            Widget("empty_cache", "bool", True, "Return unused GPU memory (torch.cuda.empty_cache)."),
            Widget("collect_garbage", "bool", True, "Collect garbage and give free heap pages back."),
        ),
        run,
    )


class FreeMemoryNode:
    """What the node does: just what its widgets say, once, without looking at thresholds.

    Args:
        ram_used: bytes of this process.
        vram_used: bytes used on all GPUs together.
    """

    def __init__(
        self,
        host: MemoryHost,
        *,
        ram_used: Callable[[], int],
        vram_used: Callable[[], int],
        trim: Callable[[], None] = trim_heap,
    ) -> None:
        self._host = host
        self._ram_used = ram_used
        self._vram_used = vram_used
        self._trim = trim

    @property
    def spec(self) -> PassNode:
        """The node's description, bound to this object."""
        return describe(self.run)

    def run(
        self,
        context: NodeContext,
        *,
        models: str = "unused",
        drop_outputs: bool = False,
        empty_cache: bool = True,
        collect_garbage: bool = True,
    ) -> None:
        """Free, and show how much came of it. Outputs that earlier prompts left are always dropped."""
        context.run_again()
        context.check_interrupt()
        ram, vram = self._ram_used(), self._vram_used()
        uses = {Use.EARLIER, Use.DONE} if drop_outputs else {Use.EARLIER}
        self._host.drop_outputs([o for o in self._host.outputs() if o.use in uses and not o.models])
        if models != "none":
            going = [m for m in self._host.models() if models == "all" or not m.needed]
            if going:
                self._host.unload_models(going)
        if collect_garbage:
            gc.collect()
        if empty_cache:
            self._host.empty_device_cache()
        if collect_garbage:
            self._trim()
        text = f"freed {human(max(0, ram - self._ram_used()))} RAM"
        if vram:
            text += f", {human(max(0, vram - self._vram_used()))} VRAM"
        log.info("Free Memory (node %s) %s", context.node_id, text)
        context.show(text)
