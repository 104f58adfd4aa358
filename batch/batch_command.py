"""`resource-gate batch …`: run, resume, retry-failed, status, report."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import batch_arguments
from .argument_types import address
from .batch_work import NOT_TRIED, TAKEN, Where, say_report, separator_for, work
from .client import Client, ClientError
from .fleet.definitions import definitions_at
from .fleet.require import FleetRefused, Tls, require_fleet
from .joblist.job import JobList, JobListError
from .joblist.plan import plan
from .joblist.rows import Rows, rows_from_csv, rows_from_jsonl, rows_from_pattern
from .progress.view import make_view
from .runner.journal import Journal, JournalError, Taken
from .runner.journal_schema import is_there
from .runner.options import RunOptions

FOLDER = ".resource-gate"
"""The batch's folder below the one for finished files."""


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the sub-commands to a parser, and return it."""
    actions = {"run": run, "resume": resume, "retry-failed": retry_failed, "status": status, "report": report}
    batch_arguments.add_arguments(parser, {name: _told(action) for name, action in actions.items()})
    return parser


def _told(action: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """`action`, with what can go wrong before a batch runs turned into a line and an exit code."""

    def command(options: argparse.Namespace) -> int:
        try:
            return action(options)
        except JobListError as error:
            for problem in error.problems:
                say(str(problem))
            say(f"{len(error.problems)} problems; nothing was submitted")
        except (JournalError, FleetRefused, ClientError) as error:
            say(str(error))
        except Taken as taken:
            say(f"{taken}: wait for it, or stop it")
            return TAKEN
        except sqlite3.Error as error:
            say(f"the journal cannot be read or written: {error}; what is in it stays, and can be resumed")
        except OSError as error:
            say(f"{error}; nothing more was submitted")
        return NOT_TRIED

    return command


def run(options: argparse.Namespace) -> int:
    """Check everything, write the batch down, and work on it."""
    where = _where(options)
    jobs = plan(options.workflow, _rows(options), options.sets, _definitions(where, options), options.name)
    for text in jobs.unchecked:
        say(text)
    if options.dry_run:
        _list(jobs, options.json)
        return 0
    with closing(_journal(jobs, where, options)) as journal:
        del jobs  # the journal has them; ten thousand graphs need not stay in memory
        return work(journal, where, make_view(sys.stdout, options.json), say)


def resume(options: argparse.Namespace) -> int:
    """Go on with a batch."""
    with closing(Journal.open(_batch_folder(options.folder))) as journal:
        return work(journal, _where_again(options, journal), make_view(sys.stdout, options.json), say)


def retry_failed(options: argparse.Namespace) -> int:
    """Plan the failed jobs anew, and work."""
    with closing(Journal.open(_batch_folder(options.folder))) as journal:
        say(f"{journal.plan_failed_again()} failed jobs are to be run again")
        return work(journal, _where_again(options, journal), make_view(sys.stdout, options.json), say)


def status(options: argparse.Namespace) -> int:
    """Tell how far a batch is."""
    with closing(Journal.read(_batch_folder(options.folder))) as journal:
        counts = journal.counts()
        with journal.reported() as told:
            if options.json:
                _out(json.dumps({"batch": told["batch"], "states": counts}) + "\n")
                return 0
            _out((", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no jobs") + "\n")
            for job in told["jobs"]:
                if job["state"] == "running":
                    _out(f"running: {job['name']} on {job['server']}\n")
                elif job["state"] == "failed":
                    _out(f"failed: {job['name']}: {job['error']}\n")
    return 0


def report(options: argparse.Namespace) -> int:
    """Write the report."""
    with closing(Journal.read(_batch_folder(options.folder))) as journal:
        say_report(journal, lambda text: _out(f"{text}\n"))
    return 0


def say(line: str) -> None:
    """Write a line to standard error; one that is closed stops nothing."""
    try:
        sys.stderr.write(f"resource-gate: {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def _out(text: str) -> None:
    sys.stdout.write(text)


def _rows(options: argparse.Namespace) -> Rows:
    if options.csv is not None:
        return rows_from_csv(options.csv)
    return rows_from_jsonl(options.jsonl) if options.jsonl is not None else rows_from_pattern(options.each)


def _where(options: argparse.Namespace) -> Where:
    tls = Tls(options.tls_ca, options.tls_cert, options.tls_key)
    if options.scheduler:
        if options.servers:
            raise JournalError("--server and --scheduler: give one; a scheduler's workers have servers of their own")
        require_fleet(options.scheduler, tls)
        return Where((), options.scheduler, tls, options.dashboard)
    servers = options.servers or [_usual_server()]
    urls = tuple(dict.fromkeys(url.rstrip("/") for url in servers))
    if len(urls) > 1:
        require_fleet()
    return Where(urls, tls=tls, dashboard=options.dashboard)


def _usual_server() -> str:
    try:
        return address(os.environ.get("RESOURCE_GATE_URL", batch_arguments.DEFAULT_URL))
    except argparse.ArgumentTypeError as error:
        raise JournalError(f"RESOURCE_GATE_URL: {error}") from None


def _where_again(options: argparse.Namespace, journal: Journal) -> Where:
    """Where it ran before, unless told otherwise."""
    meta = journal.meta
    if not options.scheduler and not options.servers:
        if meta.get("scheduler"):
            options.scheduler = meta["scheduler"]
        else:
            options.servers = meta.get("servers")
    where = _where(options)
    journal.set_meta(scheduler=where.scheduler)
    return where


def _definitions(where: Where, options: argparse.Namespace) -> Mapping[str, Any] | None:
    """Ask a server for its node definitions; None for a dry run without a server, or where no worker is at a scheduler.

    Raises:
        ClientError: none of them answers in time.
        FleetRefused: the scheduler is not there.
    """
    if where.scheduler:
        try:
            return definitions_at(where.scheduler, where.tls)
        except FleetRefused as refused:
            if not options.dry_run:
                raise
            say(str(refused))
    for number, url in enumerate(where.servers, 1):
        client = Client(url)
        last = number == len(where.servers)
        try:
            if last and not options.dry_run:
                _wait(client, options.reconnect * options.reconnect_wait)
            answer = client.call("GET", "/object_info")
            return answer if isinstance(answer, dict) else None
        except ClientError as error:
            if last and not options.dry_run:
                raise
            say(str(error))
    return None


def _wait(client: Client, patience: float) -> None:
    """Wait until it answers; said, for it may be that nobody has started it."""
    try:
        client.wait_ready(0.0)
    except ClientError:
        say(f"{client.url} does not answer yet; it is waited for, {patience:.0f} s at most")
        client.wait_ready(patience)


def _journal(jobs: JobList, where: Where, options: argparse.Namespace) -> Journal:
    """Write the batch down; or take up the one that is there, where it is the same."""
    out = options.out.absolute()
    folder = (options.journal or out / FOLDER).absolute()
    if is_there(folder):
        journal = Journal.open(folder)
        if journal.keys() != [job.key for job in jobs.jobs]:
            journal.close()
            raise JournalError(
                f"there is another batch in {folder}: go on with that (resource-gate batch resume {folder}), or give "
                "this one another --out or --journal"
            )
        say(f"going on with the batch in {folder}")
        return journal
    batch_id = str(uuid.uuid4())
    chosen = RunOptions(
        out=out,
        batch_id=batch_id,
        separator=separator_for([job.name for job in jobs.jobs]),
        verify=not options.no_verify,
        **{
            name: getattr(options, name)
            for name in (
                *("retries", "retry_wait", "reconnect", "reconnect_wait", "ready_budget"),
                *("release", "settle", "job_timeout"),
            )
        },
    )
    kept = {**asdict(chosen), "out": str(out)}
    del kept["batch_id"]
    return Journal.create(folder, jobs, {"id": batch_id, "options": kept, "scheduler": where.scheduler})


def _batch_folder(folder: Path) -> Path:
    """Return where the journal is, given the folder of the batch or of its finished files."""
    folder = folder.absolute()
    return folder if is_there(folder) else folder / FOLDER


def _list(jobs: JobList, as_json: bool) -> None:
    for job in jobs.jobs:
        files = [str(file.path) for file in job.files]
        if as_json:
            _out(json.dumps({"index": job.index, "name": job.name, "files": files, "graph": job.graph}) + "\n")
        else:
            _out(f"{job.index + 1}  {job.name}" + (f"  ({', '.join(files)})" if files else "") + "\n")
    if not as_json:
        _out(f"{len(jobs.jobs)} jobs; nothing was submitted\n")
