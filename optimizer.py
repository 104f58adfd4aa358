"""`ResourceOptimizer`: the four methods for Python code, inside ComfyUI or in a program of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .api.status import resources
from .host.standalone import StandaloneHost
from .instance import running
from .monitor.build import build_sampler
from .monitor.heap import heap_slack
from .monitor.process import ProcessReader
from .monitor.readings import Level, Sample
from .reclaim.action import ActionLog
from .reclaim.guard import Guard
from .reclaim.held import Held
from .reclaim.ladder import Ladder
from .reclaim.request import FreeRequest
from .reclaim.rungs import standard_rungs
from .settings import SettingsStore

if TYPE_CHECKING:
    from .extension import Extension


class ResourceOptimizer:
    """Watches this process and frees its memory.

    Inside a ComfyUI that has the extension it speaks for the instance that runs there; elsewhere it watches the
    process it is in, by the settings of the environment, and frees what any program has: garbage, heap pages, unused
    GPU blocks.

    Args:
        instance: the running extension to speak for; None to look for one.
        host: what is freed where there is none.
        environment: its settings; None for the process's own.
    """

    def __init__(
        self,
        instance: Extension | None = None,
        host: StandaloneHost | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._instance = instance or running()
        self._store = SettingsStore(environment=environment)
        self._process = ProcessReader()
        self._actions = ActionLog()
        host = host or StandaloneHost()
        self._sampler = (
            self._instance.sampler
            if self._instance
            else build_sampler(self._store.current, temp=None, output=None, database=None, torch_memory=host.gpu_memory)
        )
        ladder = Ladder(
            standard_rungs(
                host,
                heap_slack=lambda: heap_slack(self._process.anonymous_rss()),
                trim_worth=lambda: self._store.current.reclaim.trim_slack,
                gc_share=lambda: self._store.current.reclaim.gc_share,
                ram_free=lambda: 0,
            ),
            Held(host, self._process.anonymous_rss).of,
            self._actions,
            dry_run=lambda: self._store.current.reclaim.dry_run,
        )

        def cards() -> Sample:
            """Asked anew: nothing may have been sampled yet."""
            return Sample(0.0, 0.0, gpus=tuple(host.gpu_memory()))

        self._free: Callable[[Level], dict[str, Any]] = (
            self._instance.free
            if self._instance
            else lambda level: FreeRequest(ladder, host, cards, lambda: True).free(level).as_dict()
        )
        if not self._instance:
            self._sampler.listen(Guard(ladder, host, lambda: self._store.current).on_sample)

    def start_monitoring(self) -> None:
        """Start the background monitor; nothing where it runs already."""
        self._sampler.start()

    def stop_monitoring(self) -> None:
        """Stop it. Prompts still pass the gate, which looks for itself."""
        self._sampler.stop()

    def get_system_status(self) -> dict[str, Any]:
        """What is: `level`, `resources` and the rest of `GET /resource_gate/status` as far as it applies here."""
        if self._instance:
            return self._instance.status()
        sample = self._sampler.sample()
        last = self._actions.last
        return {
            "time": sample.time,
            "level": sample.level.label,
            "resources": resources(sample, self._store.current),
            "last_action": last.as_dict() if last else None,
            "monitor": {"running": self._sampler.running, "problems": dict(sample.problems)},
        }

    def force_cleanup(self, level: str = "emergency") -> dict[str, Any]:
        """Free all that `level` (`warning`, `critical`, `emergency`) allows, now; returns what came of it.

        Raises:
            KeyError: there is no such level.
        """
        return self._free(Level[level.upper()])
