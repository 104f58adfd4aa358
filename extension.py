"""The composition root: builds the rooms on one host, wires them, starts them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .api.paths import AtFirstRequest, Handlers
from .api.push import Pushes
from .api.status import Status
from .api.watch import Watchers
from .gate.admission import Admission, GateState
from .gate.batch_size import BatchSizes, bare_process
from .gate.brake import Brake
from .gate.changed_conditions import ChangedConditions
from .gate.gate import Gate
from .gate.idle import IdleRelease
from .gate.job_story import JobStories
from .gate.journal.journal import Journal
from .gate.orderly import at_orderly_end
from .gate.progress import BatchProgress
from .gate.rescue import Rescue
from .gate.restore import Restore
from .gate.retry import Retries
from .gate.stuck import StuckWatch
from .host.protocol import Host
from .late import late
from .monitor.build import build_sampler
from .monitor.heap import FreeInHeap, glibc_heap, heap_slack
from .monitor.history import History
from .monitor.level import entry_of
from .monitor.peak import PeakMeter
from .monitor.process import ProcessReader
from .monitor.ram import RamReader
from .monitor.readings import Level, MemoryReading, Sample
from .monitor.steady import SteadyReading
from .nodes import batch_size, free_memory, resource_gate, resource_status
from .nodes.spec import PassNode
from .panel_feed import PanelFeed
from .reclaim.action import Action, ActionLog, human
from .reclaim.guard import Guard
from .reclaim.held import Held
from .reclaim.ladder import Ladder
from .reclaim.request import FreeRequest
from .reclaim.rungs import standard_rungs
from .reclaim.start_up import freeze_start_up
from .reclaim.temp import TempCleaner
from .reclaim.temp_routine import TempRoutine
from .reclaim.temp_rung import ExpiredTemp
from .settings import Settings, SettingsStore

if TYPE_CHECKING:
    from .gate.prediction.prediction import Prediction
    from .reclaim.preview import FreePreview

log = logging.getLogger(__name__)


DEATHS_LOOKED_AT = 200
"""Jobs of the journal, the newest, among which one that died is looked for."""


MODELS = "models"
"""In the names of the steps that drop or unload some."""


class Extension:
    """Resource Gate on one host. `start` it once; it runs on daemon threads until the process ends."""

    def __init__(self, host: Host, store: SettingsStore | None = None) -> None:
        self.host = host
        self.store = store or SettingsStore(host.data_folder / "settings.json")
        self.actions = ActionLog()
        self._process = ProcessReader()
        self._held = Held(host, self._process.anonymous_rss)
        self._ram = RamReader(hand_limit=self.settings.monitor.ram_limit)
        self.sampler = build_sampler(
            self.settings,
            temp=host.temp_folder(),
            output=host.output_folder,
            database=host.data_folder,
            torch_memory=host.gpu_memory,
        )
        cleaner = TempCleaner(host, lambda: self.settings.reclaim)
        self.ladder = Ladder(
            standard_rungs(
                host,
                heap_slack=lambda: heap_slack(self._process.anonymous_rss()),
                trim_worth=lambda: self.settings.reclaim.trim_slack,
                gc_share=lambda: self.settings.reclaim.gc_share,
                ram_free=lambda: self._ram.read().free,
                temp=[ExpiredTemp(cleaner, host)],
                written=lambda: (host.output_folder, host.temp_folder()),
            ),
            self._held.of,
            self.actions,
            dry_run=lambda: self.settings.reclaim.dry_run,
        )
        self.guard = Guard(self.ladder, host, lambda: self.settings)
        stories = JobStories()
        self.journal = Journal(
            host.data_folder,
            lambda: self.settings.gate.deaths,
            host.output_folder,
            story=lambda job_id: stories.of(job_id).columns,
            environment=os.environ,
        )
        self.stuck = StuckWatch(self.journal.times, lambda: host.view().progress)
        self.prediction = late(self._opened_prediction)
        free_in_heap = FreeInHeap(glibc_heap())
        glance = SteadyReading(self._ram.read, lambda limit: entry_of(Level.WARNING, limit, self.settings.ram))
        self.gate = Gate(
            Admission(
                self.ladder,
                self._ram.read,
                lambda: self.settings,
                forecast=self.prediction,
                changed=self._gate_changed,
                glance=glance,
                roomy=glance.roomy,
                free_in_heap=lambda: free_in_heap(self._process.anonymous_rss()),
            ),
            Brake(
                self.ladder,
                self._ram.read,
                lambda: self.settings,
                peak=PeakMeter(self._process, devices=host.device_peaks()),
                resident=self._process.resident,
                done=self._held.outputs_done,
                glance=glance,
                roomy=glance.roomy,
                free_in_heap=free_in_heap,
            ),
            BatchProgress(
                seconds_of=lambda job_id: self.prediction.seconds(job_id), pace=lambda: self.prediction.predictor.pace
            ),
            self.journal,
            Retries(lambda: self.settings),
            ChangedConditions(lambda: self.settings),
            self.stuck,
            self.prediction,
        )
        self._batch_sizes = BatchSizes(
            self.prediction,
            self._ram.read,
            lambda: self.settings,
            anonymous=self._process.anonymous_rss,
            floor=self._bare_process,
            gpus=host.gpu_memory,
        )
        self.rescue = Rescue(host, self._ram.read, lambda: self.settings, self.actions, self.gate.again)
        self.idle = IdleRelease(host, lambda: self.settings, self._free_when_idle)
        self.temp = TempRoutine(cleaner, host, self.actions, lambda: self.settings)
        self.watchers = Watchers(changed=self._watched)
        self.panel = PanelFeed(
            *(host, self.gate, self.journal, stories, self.watchers, self.actions, self.store, self._preview)
        )
        self._restore = Restore(
            self.journal.rows,
            host,
            lambda: self.settings,
            lambda: self.watchers.ever,
            lambda work: host.on_worker(lambda place: work()),
            about_to_wait=self.gate.about_to_wait,
            restored=self.panel.restored,
        )
        self._request = FreeRequest(self.ladder, host, lambda: self.sampler.last, lambda: not host.view().running)
        self._status = Status(
            host,
            self._latest,
            lambda: self.settings,
            lambda: self.gate.admission.state,
            self.gate.progress,
            self.actions,
            self._problems,
            self.panel.view.more,
            lambda: {"stuck": self.stuck.cause} if self.stuck.cause else {},
        )
        self._pushes = Pushes(host.push, self.watchers, self._status.as_dict)
        self.past = History()
        self._files = [self.journal.close]
        """What closes those that are open."""

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self.store.current

    def start(self) -> None:
        """Hook the host, register the routes, start the sampler."""
        for problem in self.store.problems:
            log.warning("a setting was not taken: %s", problem)
        self.journal.open()
        can_wait = self.host.hold_answers(self._before_an_answer)
        self.journal.write_behind(sync_each=self.settings.gate.answer_on_disk and not can_wait)
        self.host.attach(self.panel.listener)
        at_orderly_end(self.gate.admission.pause, self._close_files)
        self._restore.begin()
        AtFirstRequest(self.handlers).add_to(self.host.routes)
        self.panel.start()
        self.store.listen(self._apply)
        self.actions.listen(self._pushes.action)
        self.actions.listen(self._note_models)
        self.sampler.listen(self.rescue.on_sample)
        self.sampler.listen(self.guard.on_sample)
        self.sampler.listen(self.idle.on_sample)
        self.sampler.listen(self.temp.on_sample)
        self.sampler.listen(self._note_memory)
        self.sampler.listen(lambda sample: self.stuck.look())
        self.sampler.listen(self.past.add)
        self.sampler.listen(self.panel.events.on_sample)
        self.sampler.listen(self._pushes.status)
        self.host.on_worker(lambda place: self._before_the_first_prompt())
        self.sampler.start()
        ram = self.sampler.sample().ram
        log.info(
            "Resource Gate watches %s %s: %s",
            self.host.name,
            self.host.version,
            f"RAM {human(ram.limit)} ({ram.source})" if ram else "RAM cannot be read",
        )

    def stop(self) -> None:
        """Stop the sampler and close the journal. The hooks stay, and let everything pass as the gate says."""
        self.sampler.stop()
        self.panel.stop()
        self._close_files()

    def nodes(self) -> Sequence[PassNode]:
        """The nodes, wired to this instance."""
        return [
            resource_gate.ResourceGateNode(self.ladder, self).spec,
            free_memory.FreeMemoryNode(
                self.host, ram_used=self._held.ram, vram_used=self._held.vram, actions=self.actions
            ).spec,
            resource_status.ResourceStatusNode(self).spec,
            batch_size.BatchSizeNode(self._batch_sizes).spec,
        ]

    # -- what nodes and routes ask for

    def ram(self) -> MemoryReading:
        """RAM, fresh."""
        return self._ram.read()

    def sample(self) -> Sample:
        """A full sample, taken now. Drivers and disks are asked, not waited for: the next one has what they say."""
        return self.sampler.sample()

    def status(self) -> dict[str, Any]:
        """The status object."""
        return self._status.as_dict()

    def free(self, level: Level, goal: int | None = None) -> dict[str, Any]:
        """Free memory now."""
        return self._request.free(level, goal).as_dict()

    def dry_run(self, level: Level) -> dict[str, Any]:
        """Tell what freeing would do."""
        return self._preview().free(level)

    def history(self, since: float, points: int) -> list[dict[str, Any]]:
        """The last hour, thinned."""
        return self.past.since(since, points)

    def log(self, since: float, points: int) -> list[dict[str, Any]]:
        """The last actions, oldest first."""
        return [a.as_dict() for a in self.actions.all() if a.time > since][-points:]

    def metrics(self) -> str:
        """Prometheus text."""
        from .api.metrics import Metrics

        return Metrics(
            self.host, self._latest, lambda: self.gate.admission.state, self.gate.progress, self.actions
        ).text()

    def doctor(self) -> dict[str, Any]:
        """The report for a bug's finder; looks at disks and driver, so not on the event loop."""
        # Here, and not above: hardly anybody asks, and ComfyUI's start need not wait for it.
        from .doctor.instance import instance_report

        return instance_report(self.host, self._ram.read, self.status(), self.store, self.journal, self.actions)

    def pause(self) -> None:
        """Let no further prompt start."""
        self.gate.admission.pause()
        log.info("paused by hand: the running prompt goes on, no further one starts")
        self._pushes.status()

    def resume(self) -> None:
        """Let them start again."""
        self.gate.admission.resume()
        self.panel.resumed()
        self.host.wake()
        log.info("resumed by hand")
        self._pushes.status()

    def change_settings(self, change: dict[str, Any]) -> dict[str, Any]:
        """Change some, and return them all."""
        self.store.change(change)
        return self.store.view()

    def settings_view(self) -> dict[str, Any]:
        """The settings in force, their schema with the ranges, and what could not be taken."""
        return self.store.view()

    def handlers(self) -> Iterable[Handlers]:
        """Those of all routes."""
        # Here, and not above: ComfyUI's start need not wait for what only a request needs.
        from .api.doctor import DoctorRoute
        from .api.predictions import PredictionRoutes
        from .api.routes import Routes

        yield Routes(self, self.watchers)
        yield PredictionRoutes(self.prediction)
        yield DoctorRoute(self.doctor)
        yield from self.panel.handlers(self._restore)

    # -- wiring

    def _opened_prediction(self) -> Prediction:
        from .gate.prediction.prediction import Prediction

        prediction = Prediction(
            self.host.data_folder,
            lambda: self.settings,
            gpus=self._held.gpu_names,
            model_bytes=self.host.model_bytes,
            died=self._died_with,
        )
        prediction.open()
        self.sampler.listen(prediction.on_sample)
        self._files.append(prediction.close)
        return prediction

    def _before_the_first_prompt(self) -> None:
        """On the worker, once the server starts: what ComfyUI's start need not wait for, but the first prompt needs."""
        _ = self.prediction.problem
        freeze_start_up()

    def _preview(self) -> FreePreview:
        from .reclaim.preview import FreePreview

        return FreePreview(self.ladder, self.host, lambda: self.sampler.last, lambda: not self.host.view().running)

    async def _before_an_answer(self) -> None:
        if self.settings.gate.answer_on_disk:
            await self.journal.on_disk()

    def _close_files(self) -> None:
        for close in self._files:
            close()

    def _problems(self) -> dict[str, str]:
        problems = {"settings": "; ".join(self.store.problems)} if self.store.problems else {}
        told = {
            "journal": self.journal.problem,
            "prediction": self.prediction.problem,
            "stuck": self.stuck.problem,
        }
        return problems | {name: problem for name, problem in told.items() if problem}

    def _note_memory(self, sample: Sample) -> None:
        ram = sample.process.rss if sample.process else 0
        self.journal.memory(ram, {f"vram{g.index}": g.used for g in sample.gpus})

    def _note_models(self, action: Action) -> None:
        if not action.dry_run and any(MODELS in step.name for step in action.steps):
            self.prediction.models_gone()

    def _latest(self) -> Sample:
        return self.sampler.last or self.sampler.sample()

    def _bare_process(self) -> int | None:
        own = self._process.anonymous_rss()
        return bare_process(self.gate.brake.meter.floor, own, heap_slack(own), self.host.outputs())

    def _died_with(self, job_id: str) -> bool:
        """Whether an earlier process died with this job running; where no journal is kept, it is taken for granted."""
        if self.journal.problem:
            return True
        return any(row["id"] == job_id and row["deaths"] > 0 for row in self.journal.rows.jobs(DEATHS_LOOKED_AT))

    def _apply(self, settings: Settings) -> None:
        self._ram.hand_limit = settings.monitor.ram_limit
        self.sampler.apply(settings)
        self.host.wake()

    def _watched(self, watched: bool) -> None:
        self.sampler.watched = watched

    def _free_when_idle(self, why: str) -> None:
        self._request.free_soon(Level.EMERGENCY, why)

    def _gate_changed(self, state: GateState) -> None:
        self.panel.state_changed()
        self._pushes.status()
