"""Works on a batch that is in its journal: on one server or several, shown, stoppable, with a report at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .dashboard.board import Board
from .dashboard.serve import dashboard_beside
from .fleet.require import Tls
from .fleet.run_fleet import run_fleet
from .progress.view import Unbroken, View
from .report.write import write_report
from .runner.book import Book
from .runner.events import event
from .runner.journal import Journal
from .runner.options import RunOptions
from .runner.run import run_on_one
from .runner.server import Server
from .runner.stopping import Stopping, StopSignals

DONE, FAILED, NOT_TRIED, STOPPED, TAKEN = range(5)
"""Exit codes of `resource-gate batch`; documented in its help."""
JOIN = 0.1
"""Seconds the main thread waits at a time, and so how long a signal may go unnoticed."""


@dataclass(frozen=True)
class Where:
    """What a batch runs on: servers by their URLs, or a scheduler whose workers have servers of their own."""

    servers: tuple[str, ...]
    scheduler: str = ""
    tls: Tls = field(default_factory=Tls)
    dashboard: int | None = None
    """Port of 127.0.0.1 at which the batch shows itself; 0: any that is free."""


def work(journal: Journal, where: Where, view: View, say: Callable[[str], None]) -> int:
    """Work until every job has its end or the batch is stopped; return the exit code. Main thread only.

    Args:
        journal: of the batch; held, and closed by the caller.
        view: shows it.
        say: takes lines that are no events: what a signal means, where the report is.

    Raises:
        FleetRefused: several machines cannot be used like this.
    """
    with dashboard_beside(Unbroken(view), where.dashboard, say) as (both, board):
        return _work(journal, where, both, board, say)


def _work(journal: Journal, where: Where, view: View, board: Board, say: Callable[[str], None]) -> int:
    options = options_of(journal.meta)
    stopping = Stopping()
    began = time.monotonic()
    counts, total = journal.counts(), sum(journal.counts().values())
    servers = list(where.servers) or [where.scheduler]
    if "started_at" not in journal.meta:
        journal.set_meta(started_at=time.time())
    journal.set_meta(servers=servers, ended_at=None)
    book = Book(journal, view.on)
    book.tell(
        event(
            "batch_started", total=total, done=counts["done"], failed=counts["failed"], servers=servers,
            out=str(options.out), folder=str(journal.folder),
        )
    )  # fmt: skip
    reason = ""
    try:
        with StopSignals(stopping, lambda text: book.tell(event("note", text=text))) as signals:
            reason = _on_a_thread(lambda: _run(journal, options, book, stopping, where, board), signals.heed)
    finally:
        counts = journal.counts()
        left = counts["planned"] + counts["running"]
        seconds = time.monotonic() - began
        told = {"done": counts["done"], "failed": counts["failed"], "total": total, "left": left}
        book.tell(event("batch_ended", **told, seconds=seconds, reason=reason, stopped=stopping.finish.is_set()))
        view.close()
        journal.set_meta(ended_at=time.time())  # last: a disk that is full may be why it ends
    say_report(journal, say)
    if left:
        say(f"{reason + '. ' if reason else ''}{left} jobs are left: resource-gate batch resume {journal.folder}")
        return STOPPED if stopping.finish.is_set() else NOT_TRIED
    return FAILED if counts["failed"] else DONE


def say_report(journal: Journal, say: Callable[[str], None]) -> None:
    """Write the batch's report beside its journal, and say where it is."""
    try:
        with journal.reported() as told:
            _, page = write_report(told, journal.folder)
        say(f"Report: {page}")
    except OSError as error:
        say(f"The report could not be written: {error}")


def options_of(meta: dict[str, Any]) -> RunOptions:
    """Return the options that a batch was created with."""
    return RunOptions(**{**meta["options"], "out": Path(meta["options"]["out"]), "batch_id": meta["id"]})


def separator_for(names: Sequence[str]) -> str:
    """Return what goes between a job's name and an output's number, so that no job has another's file names."""
    names = [name.casefold() for name in names]  # as Windows and macOS compare them
    taken, separator = set(names), "_"
    while any(name.rpartition(separator)[0] in taken and name.rpartition(separator)[2].isdigit() for name in names):
        separator += "_"
    return separator


def _run(journal: Journal, options: RunOptions, book: Book, stopping: Stopping, where: Where, board: Board) -> str:
    if where.scheduler or len(where.servers) > 1:
        return run_fleet(
            journal, options, book.tell, stopping, servers=where.servers, scheduler=where.scheduler, tls=where.tls,
            shown=board.machine, dashboard=board.dask_at,
        )  # fmt: skip
    with closing(Server(where.servers[0])) as server:
        return run_on_one(journal, options, book.tell, stopping, server)


def _on_a_thread(run: Callable[[], str], meanwhile: Callable[[], None]) -> str:
    """Run it off the main thread, which stays free for signals: `meanwhile` is called there again and again."""
    answers: list[str] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            answers.append(run())
        except BaseException as error:  # noqa: BLE001 - raised again below, on the thread that asked
            errors.append(error)

    thread = threading.Thread(target=body, name="resource-gate-batch", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(JOIN)
        meanwhile()
    if errors:
        raise errors[0]
    return answers[0]
