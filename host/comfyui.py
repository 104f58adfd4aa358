"""ComfyUI as a host: the two protocols that `reclaim` and `gate` define, on a running ComfyUI."""

from __future__ import annotations

import logging
import os
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from importlib import import_module
from pathlib import Path
from typing import Any

from ..gate.host import Job, JobListener, Queued, QueueView
from ..monitor.readings import GpuReading
from ..reclaim.host import CachedOutput, LoadedModel, Place
from .answers import hold_answers
from .comfyui_cache import OutputCache
from .comfyui_models import DevicePeaks, Models
from .comfyui_queue import QueueHooks
from .comfyui_temp import TempFiles
from .model_files import ModelFiles
from .tensors import contents

log = logging.getLogger(__name__)


class ComfyUIHost:
    """The ComfyUI of this process. Build it after ComfyUI's server exists, before its worker thread starts."""

    name = "ComfyUI"

    def __init__(self) -> None:
        import folder_paths
        from comfy import model_management
        from server import PromptServer

        self._server = PromptServer.instance
        self._folders = folder_paths
        self._model_files = ModelFiles(folder_paths)
        # By name: `nodes` is ComfyUI's module here, and the name of a package of ours.
        self._nodes: Any = import_module("nodes")
        self._models = Models(model_management, sys.modules["torch"])
        self._device_peaks = DevicePeaks(sys.modules["torch"], model_management)
        self._progress_bar: Callable[..., Any] = import_module("comfy.utils").ProgressBar
        self._interrupted: Callable[[], None] = model_management.throw_exception_if_processing_interrupted
        self._cache = OutputCache(self._decides_by_itself)
        self._temp = TempFiles(self._server.prompt_queue, folder_paths)
        self._hooks = QueueHooks(self._server.prompt_queue, self._nodes, self._between_prompts)
        self._executor: weakref.ref[Any] | None = None
        self._waiting: Job | None = None
        self.version = _version()

    def claim(self) -> str | None:
        """Where another copy of Resource Gate lies that runs in this ComfyUI already; None where this one shall run."""
        return claimed_by_another(self._server, str(Path(__file__).parents[1]))

    # -- QueueHost

    def attach(self, listener: JobListener) -> None:
        """Hook queue and executor."""
        self._hooks.install(listener)

    def wake(self) -> None:
        """Make the worker ask again now."""
        self._hooks.wake()

    def requeue(self, job_id: str) -> bool:
        """Interrupt a running prompt and put it back first in line."""
        return self._hooks.requeue(job_id)

    def number_after(self, number: float) -> None:
        """Number later prompts from above this one on."""
        if self._hooks.entry is not None:
            self._hooks.entry.number_after(number)

    def refusal(self, prompt: Queued) -> str:
        """Why ComfyUI would not take this prompt now. Blocks; not on the event loop."""
        if self._hooks.entry is None:
            return "this ComfyUI's queue cannot be hooked"
        return self._hooks.entry.refusal(prompt)

    def hold_answers(self, on_disk: Callable[[], Awaitable[None]]) -> bool:
        """Await `on_disk` before a client hears that its prompt was taken; False where that cannot be done."""
        return hold_answers(getattr(self._server, "app", None), on_disk)

    def put_again(self, prompt: Queued) -> None:
        """Put a prompt of an earlier process into the queue."""
        if self._hooks.entry is not None:
            self._hooks.entry.put_again(prompt)

    def view(self) -> QueueView:
        """Running and pending prompts, the running node and its progress."""
        running, pending = self._server.prompt_queue.get_current_queue_volatile()
        node, progress = self._progress() if running else ("", None)
        return QueueView([str(item[1]) for item in running], len(pending), node, progress)

    def worker_alive(self) -> bool | None:
        """Whether the prompt worker's thread lives."""
        return None if self._hooks.worker is None else self._hooks.worker.is_alive()

    def degraded(self) -> Mapping[str, str]:
        """Features that this ComfyUI does not allow, with the reason."""
        return dict(self._hooks.degraded)

    def hooks(self) -> Mapping[str, str]:
        """What of this ComfyUI is hooked, and whether another pack has replaced it."""
        from .comfyui_hooks import hooks_in_force  # seldom asked for, and not at ComfyUI's start

        return hooks_in_force(self._server.prompt_queue, self._nodes)

    def push(self, event: str, data: Mapping[str, Any], client: str | None = None) -> None:
        """Send an event through ComfyUI's WebSocket."""
        self._server.send_sync(event, data, client)

    # -- MemoryHost

    def outputs(self) -> Sequence[CachedOutput]:
        """The cached outputs, and who will want them."""
        executor = self._live_executor()
        if executor is None:
            return []
        node = self._hooks.node
        return self._cache.outputs(executor, node, self._waiting_job())

    def drop_outputs(self, outputs: Iterable[CachedOutput]) -> None:
        """Let go of these entries."""
        self._cache.drop(outputs)

    def models(self) -> Sequence[LoadedModel]:
        """Models on devices, largest first."""
        return self._models.loaded(self._needed_models())

    def unload_models(self, models: Iterable[LoadedModel]) -> None:
        """Unload exactly these."""
        self._models.unload(models)

    def device_slack(self) -> int:
        """Unused bytes of the device allocator."""
        return self._models.slack()

    def pinned_slack(self) -> int:
        """Unused bytes of the pinned host allocator."""
        return self._models.pinned_slack()

    def empty_pinned_cache(self) -> None:
        """Return them."""
        self._models.empty_pinned_cache()

    def pinned_weights(self) -> int:
        """Bytes of pinned model weights."""
        return self._models.pinned_weights()

    def free_pins(self, goal: int) -> int:
        """Unpin so many."""
        return self._models.free_pins(goal)

    def empty_device_cache(self) -> None:
        """Return them."""
        self._models.empty_cache()

    def temp_folder(self) -> Path | None:
        """ComfyUI's temp folder."""
        return self._temp.folder()

    def kept_folders(self) -> Sequence[Path]:
        """Output, input, user, models."""
        return self._temp.kept_folders()

    def referenced_files(self) -> set[Path]:
        """Temp files that history and queue name."""
        return self._temp.referenced()

    def running_since(self) -> float | None:
        """When the running prompt was about to start."""
        return self._temp.running_since()

    def release_files(self, paths: Set[str], place: Place) -> set[str]:
        """Which of these temp files no cached output needs."""
        return self._temp.release(getattr(self._live_executor(), "caches", None), paths, place)

    def on_worker(self, work: Callable[[Place], None]) -> None:
        """Run `work` on the worker thread at the next boundary."""
        self._hooks.on_worker(work)

    # -- for extension.py and the nodes

    @property
    def routes(self) -> Any:
        """The aiohttp route table that ComfyUI serves plain and under `/api`."""
        return self._server.routes

    @property
    def output_folder(self) -> Path:
        """Where results are written."""
        return Path(self._folders.get_output_directory())

    @property
    def data_folder(self) -> Path:
        """`user/__resource_gate`: process-wide, not served over HTTP (made by hand before ComfyUI 0.3.76)."""
        find = getattr(self._folders, "get_system_user_directory", None)
        if find is not None:
            return Path(find("resource_gate"))
        return Path(self._folders.get_user_directory()) / "__resource_gate"

    def model_bytes(self, name: str) -> int:
        """Size of a model file by its name in a graph."""
        return self._model_files.size_of(name)

    def gpu_memory(self) -> list[GpuReading]:
        """Device memory through torch. Any thread."""
        return self._models.readings()

    def device_peaks(self) -> DevicePeaks:
        """torch's peak counters."""
        return self._device_peaks

    def check_interrupt(self) -> None:
        """Raise ComfyUI's own exception if the user interrupted."""
        self._interrupted()

    def show_on_node(self, node_id: str, text: str) -> None:
        """Show a text on a running node, where the prompt came from: elsewhere the id may be another node's."""
        if self._server.client_id is not None:
            self._server.send_progress_text(text, node_id, self._server.client_id)

    def progress_of_node(self, node_id: str, value: float, total: float) -> None:
        """Show how far a running node is."""
        self._progress_bar(total, node_id=node_id).update_absolute(value)

    def run_again(self, node_id: str) -> None:
        """See `OutputCache.run_again`."""
        executor = self._live_executor()
        if executor is not None:
            self._cache.run_again(executor, node_id)

    def _between_prompts(self, executor: Any, waiting: Job | None) -> None:
        if executor is not None and self._live_executor() is not executor:
            self._executor = weakref.ref(executor)
        self._waiting = waiting
        if waiting is not None:
            self._temp.about_to_start()
        if executor is not None and waiting is not None:
            self._cache.before_prompt(executor, waiting)

    def _live_executor(self) -> Any | None:
        return None if self._executor is None else self._executor()

    def _waiting_job(self) -> Job | None:
        if self._hooks.node is None:
            return self._waiting
        return self._hooks.head()

    def _needed_models(self) -> set[int]:
        """Modules in cached outputs that the running or the waiting prompt still takes."""
        needed: set[int] = set()
        for output in self.outputs():
            if output.models and output.use.value in ("needed", "reusable"):
                cache, key = output.key
                value = cache.cache.get(key)
                needed.update(contents([getattr(value, "outputs", value)]).models)
        return needed

    def _decides_by_itself(self, class_type: str) -> bool:
        node_class = self._nodes.NODE_CLASS_MAPPINGS.get(class_type)
        if node_class is None:
            return True
        if hasattr(node_class, "define_schema"):
            from comfy_api.internal import first_real_override

            return first_real_override(node_class, "fingerprint_inputs") is not None
        return hasattr(node_class, "IS_CHANGED")

    def _progress(self) -> tuple[str, float | None]:
        from comfy_execution.progress import NodeState, get_progress_state

        from .comfyui_progress import running_node

        return running_node(get_progress_state(), NodeState.Running)


def claimed_by_another(server: Any, mine: str) -> str | None:
    """The folder of the copy that has claimed this server before; None where that is mine."""
    return None if (first := vars(server).setdefault("resource_gate_runs_from", mine)) == mine else str(first)


def _version() -> str:
    try:
        from comfyui_version import __version__
    except ImportError:
        return os.environ.get("COMFYUI_VERSION", "unknown")
    return str(__version__)
