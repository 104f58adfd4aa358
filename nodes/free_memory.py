"""The node *Free Memory*: gives memory back at one point of a workflow, then passes its input through."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable

from ..monitor.readings import Level
from ..reclaim.action import Action, ActionLog, Step, human
from ..reclaim.host import MemoryHost, Place, Use
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
        actions: where it is told what came of it, beside what the ladder does by itself.
    """

    def __init__(
        self,
        host: MemoryHost,
        *,
        ram_used: Callable[[], int],
        vram_used: Callable[[], int],
        actions: ActionLog,
        trim: Callable[[], None] = trim_heap,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._actions = actions
        self._clock = clock
        self._wall = wall
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
        steps: list[Step] = []
        uses = {Use.EARLIER, Use.DONE} if drop_outputs else {Use.EARLIER}
        going = [m for m in self._host.models() if models == "all" or not m.needed] if models != "none" else []
        unloaded = "unloaded " + ", ".join(m.name for m in going)
        plan: list[tuple[bool, str, str, Callable[[], object]]] = [
            (True, "dropping cached outputs", "dropped cached outputs", lambda: self._drop(uses)),
            (bool(going), "unloading models", unloaded, lambda: self._host.unload_models(going)),
            (collect_garbage, "collecting garbage", "collected garbage", gc.collect),
            (empty_cache, "emptying the device cache", "emptied the device cache", self._host.empty_device_cache),
            (collect_garbage, "giving heap pages back", "gave free heap pages back to the system", self._trim),
        ]
        todo = [one for one in plan if one[0]]
        for number, (_, now, done, work) in enumerate(todo):
            context.progress(number, len(todo))
            context.show(f"{now} …")
            before, start = self._ram_used() + self._vram_used(), self._clock()
            work()
            freed = before - self._ram_used() - self._vram_used()
            steps.append(Step(done, freed, self._clock() - start, done))
        context.progress(len(todo), len(todo))
        why = f"Free Memory (node {context.node_id})"
        action = Action(self._wall(), Level.CRITICAL, "ram", why, Place.BETWEEN_NODES, tuple(steps), None, True)
        log.info("%s", action.text)
        self._actions.add(action)
        text = f"freed {human(max(0, ram - self._ram_used()))} RAM"
        if vram:
            text += f", {human(max(0, vram - self._vram_used()))} VRAM"
        context.show(f"{text}; {unloaded}" if going else text)

    def _drop(self, uses: set[Use]) -> None:
        self._host.drop_outputs([o for o in self._host.outputs() if o.use in uses and not o.models])
