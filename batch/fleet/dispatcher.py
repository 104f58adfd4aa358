"""Gives jobs to machines and takes what becomes of them: the journal is the truth, a machine only works."""

from __future__ import annotations

import dataclasses
import queue
import time
import uuid
from collections.abc import Callable, Iterator, Mapping

from ...gate.retry import ErrorKind
from ..joblist.job import Job
from ..needs.learned_need import LearnedNeed, Need
from ..runner.events import Tell, event
from ..runner.options import RunOptions
from ..runner.result import DISK, LOST, SERVER, STOPPED, JobResult
from ..runner.run import job_ended
from ..runner.stopping import Stopping
from .foresight import Foresight
from .line import OTHER_MACHINE, OUT_OF_MEMORY, Ledger, Line, Open
from .machine import DOWN, Reading
from .messages import Broken, CalledOff, Ended, Foretold, Left, Message, Seen, Told, Transport
from .placement import fits
from .roster import Machine, Roster
from .strays import Strays

TICK = 0.5
"""Seconds between two looks at what waits, while nothing happens."""
HOME_WAIT = 20.0
"""Seconds that a job whose worker has gone waits for it: a nanny brings it back in about one (reference), and at its
server the job went on meanwhile."""
GATHER = 10.0
"""Seconds that jobs wait until each machine which is to come has been looked at: who is there first would else be given
what fits another better. Workers start within two seconds of each other, on a loaded machine."""
STOP_WAIT = 30.0
"""Seconds for machines to take their prompts off their servers when the batch is stopped at once."""


class Dispatcher:
    """Runs what is due in a journal on the machines that come.

    Args:
        journal: the runner's own; intent is in it before a job is given.
        transport: the way to the machines; it puts its messages into `inbox`.
        homes: job index → machine that an earlier runner had given it to.
        need: what a job will take; what `learned` has learned, by default.
        patience: seconds that a job which fits on no machine waits for a larger one to join.
        shown: is called with a machine whenever it has changed, for who draws it.
    """

    def __init__(
        self,
        journal: Ledger,
        transport: Transport,
        inbox: queue.Queue[Message],
        roster: Roster,
        options: RunOptions,
        tell: Tell,
        stopping: Stopping,
        *,
        homes: Mapping[int, str] | None = None,
        need: Need | None = None,
        learned: LearnedNeed | None = None,
        patience: float = 0.0,
        home_wait: float = HOME_WAIT,
        shown: Callable[[Machine, Job | None, Reading | None], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
        tick: float = TICK,
    ) -> None:
        self._journal, self._transport, self._inbox, self._roster = journal, transport, inbox, roster
        self._options, self._tell, self._stopping = options, tell, stopping
        self._home_wait, self._shown, self._clock, self._tick = home_wait, shown, clock, tick
        self._learned = learned or LearnedNeed()
        self._foresight = Foresight(transport.ask)
        self._strays = Strays(options.batch_id, options.retries, transport.call_off, tell)
        self._line = Line(journal, self._learned, self._foresight, need, patience)
        self._line.send_home(homes or {}, clock() + home_wait)
        self._running: dict[str, Open] = {}
        self._began = clock()
        self._full = ""
        """Why what is made now could not be kept here; empty where it can."""

    def expect(self, name: str, url: str) -> None:
        """A machine is to come; until it has been looked at nothing counts as too large for it."""
        self._show(self._roster.expect(name, url, self._clock()))

    def run(self) -> str:
        """Work until every job has its end, the batch is stopped, no machine is left, or the disk here is full.

        Returns:
            Why jobs stay to be done, for a person; empty where none does, or where the batch was stopped.
        """
        stop_until: float | None = None
        while self._running or (len(self._line) and not self._stopping.finish.is_set() and not self._full):
            for message in self._messages():
                self._take(message)
            now = self._clock()
            if self._stopping.now.is_set():
                if stop_until is None:
                    stop_until = now + STOP_WAIT
                    for lease in self._running:
                        self._transport.drop(lease)
                elif now > stop_until:
                    return "some machines did not confirm in time that they have stopped"
            elif not self._stopping.finish.is_set() and not self._full:
                if now - self._began > GATHER or not self._roster.joining:
                    self._place(now)
                if not self._running and self._deserted(now):
                    return f"no machine has been there for {self._options.ready_budget:.0f} s"
        return self._full

    def _deserted(self, now: float) -> bool:
        """Whether all machines have been gone, or none has come, for longer than is waited for one."""
        budget = self._options.ready_budget
        return now - self._began > budget and not self._roster.rooms(now, budget)

    def _messages(self) -> Iterator[Message]:
        try:
            yield self._inbox.get(timeout=self._tick)
            while True:
                yield self._inbox.get_nowait()
        except queue.Empty:
            return

    # -- what comes in

    def _take(self, message: Message) -> None:
        now = self._clock()
        if isinstance(message, Seen):
            self._seen(message, now)
        elif isinstance(message, Left):
            machine = self._roster.leave(message.machine, message.reason, now, message.cause)
            if machine is not None:
                self._show(machine)
        elif isinstance(message, Told):
            self._told(message)
        elif isinstance(message, Ended):
            self._ended(message.lease, message.result, now)
        elif isinstance(message, CalledOff):
            self._strays.take(message.machine, message.index, message.outcomes)
        elif isinstance(message, Foretold):
            self._foresight.take(message.machine, message.key, message.need)
        else:
            self._broken(message, now)

    def _seen(self, message: Seen, now: float) -> None:
        reading = message.reading
        machine = self._roster.seen(message.machine, message.url, reading, now)
        if reading.state != DOWN:
            self._strays.back(machine.name)
        job = self._running.get(machine.lease or "")
        ram = reading.ram if reading.state != DOWN else None
        if ram is not None and job is not None:
            job.peak = max(job.peak, ram.used)  # its own runner tells it
        elif ram is not None:
            told = {"used": ram.used, "limit": ram.limit, "fraction": ram.fraction, "tiers": dict(ram.tiers)}
            self._tell(event("memory", server=machine.name, level=reading.level, **told))
        self._show(machine, reading)

    def _told(self, message: Told) -> None:
        if message.lease in self._running:  # else it was given to another machine meanwhile
            # That machine's clock is not ours, by which jobs begin and end, and samples are told apart.
            self._tell({**message.event, "time": time.time()})

    def _ended(self, lease: str, result: JobResult, now: float) -> None:
        job = self._running.pop(lease, None)
        if job is None:
            return
        machine = self._roster.machines[job.machine]
        machine.lease = None
        machine.breaker.record(result)
        result = dataclasses.replace(result, server=machine.name)
        if result.ok:
            machine.done += 1
            self._learn(job, machine, result)
        elif result.error_kind == STOPPED:
            self._journal.end(job.job.index, result)
            self._line.put(job)
            self._show(machine)
            return
        elif result.error_kind == DISK:
            # In the journal it stays with that machine, whose server still has what it made.
            self._full = result.error
            self._show(machine)
            return
        elif result.error_kind in OTHER_MACHINE and self._moves(job, machine, result, now):
            self._show(machine)
            return
        else:
            machine.failed += 1
            if result.error_kind == SERVER:  # the journal would plan it again, and nobody would ever do it
                result = dataclasses.replace(result, error_kind=LOST)
        self._finish(job, result)
        self._show(machine)

    def _broken(self, message: Broken, now: float) -> None:
        """Keep the job for its machine for a while: its server may be at it, and its worker may come back."""
        job = self._running.pop(message.lease, None)
        if job is None:
            return
        machine = self._roster.machines[job.machine]
        machine.lease = None
        job.home, job.home_until = machine.name, now + self._home_wait
        job.moves += message.reached
        if not message.reached:  # the word of that is on its way
            self._roster.leave(machine.name, message.reason, now, {"code": "left"})
        self._tell(event("note", text=f"{job.job.name}: {message.reason}"))
        if job.moves > self._most_moves():
            text = f"its workers ended {job.moves} times, the last one on {machine.name}: {message.reason}"
            self._finish(job, JobResult(False, LOST, text, attempts=job.moves, server=machine.name))
        else:
            self._line.put(job)
        self._show(machine)

    # -- what becomes of a job

    def _learn(self, job: Open, machine: Machine, result: JobResult) -> None:
        machine.room.did(self._learned.size(job.job))
        self._foresight.did(machine.name, job.job)
        if (grew := machine.room.grew(result.peak_ram, job.peak)) is not None:
            self._learned.learn(job.job, grew)

    def _moves(self, job: Open, machine: Machine, result: JobResult, now: float) -> bool:
        """Whether another machine shall try; if so the job waits for one."""
        if result.error_kind in OUT_OF_MEMORY:
            machine.room.could_not(self._learned.size(job.job))
        if result.error_kind != SERVER:  # whose server fails rests for a while, and may then have it again
            job.barred[machine.name] = f"{machine.name}: {result.error}"
        job.moves += 1
        rooms = self._roster.rooms(now, self._options.ready_budget)
        wish = self._line.wish(job, rooms, now)
        others = [room for room in rooms if fits(wish, room)]
        if not others or job.moves > self._most_moves():
            return False
        self._journal.end(job.job.index, dataclasses.replace(result, error_kind=SERVER))  # planned again
        text = f"{job.job.name} goes to another machine: {machine.name} did not do it ({result.error})"
        self._tell(event("note", text=text))
        self._line.put(job)
        return True

    def _most_moves(self) -> int:
        return max(self._options.retries, 2 * len(self._roster.machines))

    def _finish(self, job: Open, result: JobResult) -> None:
        self._journal.end(job.job.index, result)
        self._tell(job_ended(job.job.index, job.job.name, result))

    # -- who gets what

    def _place(self, now: float) -> None:
        rooms = self._roster.rooms(now, self._options.ready_budget)
        for job, name in self._line.place(rooms, now):
            self._give(job, self._roster.machines[name])
        for job, reason in self._line.stuck(rooms, now):
            self._finish(job, JobResult(False, ErrorKind.MEMORY.value, reason, attempts=job.moves))
        for job in self._line.told():
            self._tell(event("waiting", index=job.job.index, reason=job.waiting))

    def _give(self, job: Open, machine: Machine) -> None:
        lease = uuid.uuid4().hex
        number = self._journal.start(job.job.index, machine.name)
        job.left_on = {name: first or number for name, first in job.left_on.items()}
        attempt = self._strays.given(job, machine.name, number)
        job.machine, job.peak, machine.lease = machine.name, 0, lease
        self._running[lease] = job
        self._tell(event("job_started", index=job.job.index, name=job.job.name, server=machine.name))
        self._transport.give(lease, job.job, machine.name, attempt)
        self._show(machine)

    def _show(self, machine: Machine, reading: Reading | None = None) -> None:
        state, reason = machine.state
        if (state, reason) != machine.shown:
            machine.shown = (state, reason)
            self._tell(event("server", server=machine.name, state=state, reason=reason))
        job = self._running.get(machine.lease or "")
        self._shown(machine, job.job if job is not None else None, reading)
