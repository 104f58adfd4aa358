"""The way to the machines with Dask: each job is one task, tied to the one worker process that it is meant for.

Dask by itself would run a task again wherever its result is lost. Tied to a process' address it cannot: when that
process ends the task has nowhere to go, and the dispatcher decides, by the journal.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from ...gate.retry import ErrorKind
from ..joblist.job import Job
from ..runner.options import RunOptions
from ..runner.result import DISK, INPUT, OUTPUT, SERVER, JobResult
from ..transfer import NO_ROOM
from .attendance import SILENT, WATCH, Attendance
from .messages import Broken, CalledOff, Ended, Foretold, Message, Told
from .parcels import ParcelDamaged, fetch_file, remove_folder, send_file
from .worker_side import LEASES, SLOT, Order, as_result, at_desk, call_off, foretell, let_go, run_order, stop_lease

CARRIERS = 8
"""Threads that carry files and fetch results …"""

ASKERS = 4
"""… and that have servers asked, which may take ten seconds each to say nothing: jobs do not wait behind that."""

log = logging.getLogger(__name__)


class WayBroken(Exception):  # noqa: N818 - it names what happened, as a person would
    """A worker's folder could not be reached, or used: its machine is gone, or its disk is full."""


@dataclass
class _Lease:
    machine: str
    address: str
    future: Future[Any] | None = None


class DaskTransport:
    """One batch on one cluster.

    Args:
        client: of the cluster; closed by whoever opened it.
        inbox: the dispatcher's.
        here: whether the workers run on this machine and write to `options.out` themselves.
        names: the only machines that count; None: all that come.
    """

    def __init__(
        self,
        client: Client,
        inbox: queue.Queue[Message],
        options: RunOptions,
        *,
        here: bool,
        names: frozenset[str] | None = None,
        silent: float = SILENT,
        watch: float = WATCH,
    ) -> None:
        self._client, self._inbox, self._options, self._here = client, inbox, options, here
        self._attendance = Attendance(
            client, inbox, self._gone, self._heard_again, names=names, silent=silent, watch=watch
        )
        self._topic = f"resource-gate-batch-{options.batch_id}"
        self._lock = threading.Lock()
        self._leases: dict[str, _Lease] = {}
        self._lost: dict[str, list[str]] = {}
        """Address → leases given up while it was gone: they are let go of there should it be heard of again."""
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(CARRIERS, "resource-gate-carrier")
        self._askers = ThreadPoolExecutor(ASKERS, "resource-gate-asker")

    def __enter__(self) -> DaskTransport:
        self._client.subscribe_topic(self._topic, self._told)
        self._attendance.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._attendance.__exit__()
        with self._lock:
            leases, self._leases = self._leases, {}
        for lease in leases.values():
            if lease.future is not None:
                lease.future.release()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._askers.shutdown(wait=False, cancel_futures=True)

    def give(self, lease: str, job: Job, machine: str, first_attempt: int) -> None:
        """Have `machine` perform a job."""
        with self._lock:  # the address, too: who leaves between the two would never be found to have this job
            address = self._attendance.address(machine)
            self._leases[lease] = _Lease(machine, address)
        self._pool.submit(self._carried, self._send, lease, job, address, first_attempt)

    def ask(self, machine: str, key: str, graph: Mapping[str, Any]) -> None:
        """Have its server asked what a graph would need."""
        self._askers.submit(self._ask, machine, key, graph)

    def call_off(self, machine: str, index: int, ids: Sequence[str]) -> None:
        """Have a job's prompts cancelled at a machine that has it no more."""
        self._pool.submit(self._call_off, machine, index, ids)

    def drop(self, lease: str) -> None:
        """Have it stop that job now."""
        with self._lock:
            known = self._leases.get(lease)
        if known is not None:
            self._pool.submit(self._stop, known.address, lease)

    # -- on the carriers' threads

    def _carried(self, work: Callable[..., None], lease: str, *arguments: Any) -> None:
        """Do `work`; whatever it raises breaks the lease, and no more than that."""
        try:
            work(lease, *arguments)
        except Exception as error:  # a thread's boundary: Dask raises what the network and the other side raise
            log.debug("lease %s", lease, exc_info=error)
            self._break(lease, f"the way to its machine broke ({error or type(error).__name__})")

    def _send(self, lease: str, job: Job, address: str, first_attempt: int) -> None:
        if not address:
            self._break(lease, "its machine has just left", reached=False)
            return
        files: list[str] = []
        try:
            if not self._here:
                for number, file in enumerate(job.files):
                    files.append(f"{LEASES}/{lease}/in{number}/{file.path.name}")
                    send_file(self._desk(address), file.path, files[-1])
        except (OSError, ParcelDamaged) as error:
            self._end(lease, JobResult(False, INPUT, f"an input file could not be sent: {error}"))
            return
        options = self._options if self._here else dataclasses.replace(self._options, out=Path("out"))
        order = Order(lease, job, options, first_attempt, self._topic, self._here, tuple(files))
        future = self._client.submit(
            run_order,
            order,
            key=f"resource-gate-{job.name}-{lease}",
            workers=[address],
            allow_other_workers=False,
            resources=SLOT,
            pure=False,
            retries=0,
        )
        with self._lock:
            known = self._leases.get(lease)
            if known is not None:
                known.future = future
        if known is None:  # its worker went meanwhile
            future.release()
            return
        future.add_done_callback(lambda done: self._later(self._collect, lease, done, address))

    def _later(self, work: Callable[..., None], lease: str, *arguments: Any) -> None:
        if not self._ending.is_set():
            self._pool.submit(self._carried, work, lease, *arguments)

    def _collect(self, lease: str, future: Future[Any], address: str) -> None:
        with self._lock:
            if lease not in self._leases:
                return
        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                self._break(lease, "its worker process ended")
            else:
                text = f"the worker could not perform it: {type(error).__name__}: {error}"
                self._end(lease, JobResult(False, ErrorKind.BUG.value, text))
            return
        if future.status != "finished":
            self._break(lease, f"its task was {future.status}")
            return
        result = as_result(future.result())
        if not self._here:
            if result.error_kind == DISK:  # of that machine: others have theirs
                result = dataclasses.replace(result, error_kind=SERVER)
            result = self._fetched(lease, result, address)
        self._end(lease, result)
        if not self._here:
            self._desk(address)(remove_folder, f"{LEASES}/{lease}")

    def _fetched(self, lease: str, result: JobResult, address: str) -> JobResult:
        outputs = []
        try:
            for name in result.outputs:
                target = self._options.out / name
                fetch_file(self._desk(address), f"{LEASES}/{lease}/out/{name.as_posix()}", target)
                outputs.append(target)
        except (OSError, ParcelDamaged) as error:
            kind = DISK if isinstance(error, OSError) and error.errno in NO_ROOM else OUTPUT
            return dataclasses.replace(result, ok=False, error_kind=kind, error=str(error), outputs=tuple(outputs))
        return dataclasses.replace(result, outputs=tuple(outputs))

    def _desk(self, address: str) -> Callable[..., Any]:
        def call(function: Callable[..., Any], *arguments: Any) -> Any:
            try:
                return self._client.run(at_desk, function, arguments, workers=[address])[address]
            except Exception as error:
                # Whatever it was, on the way or over there: what is raised by itself is then of this machine.
                raise WayBroken(f"{type(error).__name__}: {error}") from error

        return call

    def _ask(self, machine: str, key: str, graph: Mapping[str, Any]) -> None:
        address, need = self._attendance.address(machine), None
        try:
            need = self._client.run(foretell, graph, workers=[address])[address] if address else None
        except Exception as error:  # a thread's boundary: Dask raises what the network and the other side raise
            log.debug("%s was not asked", machine, exc_info=error)
        self._inbox.put(Foretold(machine, key, need))

    def _call_off(self, machine: str, index: int, ids: Sequence[str]) -> None:
        address, outcomes = self._attendance.address(machine), None
        try:
            outcomes = self._client.run(call_off, ids, workers=[address])[address] if address else None
        except Exception as error:  # as above
            log.debug("nothing was called off at %s", machine, exc_info=error)
        self._inbox.put(CalledOff(machine, index, outcomes))

    def _let_go(self, lease: str, address: str) -> None:
        self._client.run(let_go, lease, workers=[address], on_error="ignore")

    def _stop(self, address: str, lease: str) -> None:
        self._client.run(stop_lease, lease, workers=[address], on_error="ignore")

    # -- what comes back

    def _close(self, lease: str) -> bool:
        """Whether this ends the lease: one message each."""
        with self._lock:
            known = self._leases.pop(lease, None)
        if known is not None and known.future is not None:
            known.future.release()  # its result must lie nowhere: a lost one would be made again
        return known is not None

    def _end(self, lease: str, result: JobResult) -> None:
        if self._close(lease):
            self._inbox.put(Ended(lease, result))

    def _break(self, lease: str, reason: str, *, reached: bool = True) -> None:
        if self._close(lease):
            self._inbox.put(Broken(lease, reason, reached))

    def _told(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, told = event
        self._inbox.put(Told(told["lease"], told["event"]))

    def _gone(self, address: str, reason: str) -> None:
        with self._lock:
            leases = [lease for lease, known in self._leases.items() if known.address == address]
        self._lost[address] = leases
        for lease in leases:
            self._break(lease, reason)

    def _heard_again(self, address: str) -> None:
        for lease in self._lost.pop(address, ()):
            # Its prompt stays: the job may come back here and find it; else the dispatcher calls it off.
            self._later(self._let_go, lease, address)
