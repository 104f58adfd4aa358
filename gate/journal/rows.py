"""What is in the journal: rows for the routes, prompts to restore, jobs set aside."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..finished import LEAVES_NOTHING, was_written
from ..host import Queued
from ..last_exit import LastExit
from .note import Note
from .redo import Statement
from .sql import ADOPTED, KEPT_SECONDS, LIVE, PRUNE_AGE, PRUNE_GRAPHS, PRUNE_NUMBER

log = logging.getLogger(__name__)

T = TypeVar("T", dict[str, Any], list[Any])

KEPT = 5000
"""Ended prompts that are kept; the oldest go first."""

KEPT_GRAPHS = 200
"""Failed prompts whose graphs are kept, so that they can be queued again."""

COLUMNS = (
    "seq, id, number, state, session, attempts, deaths, queued_at, started_at, ended_at, seconds, peak_ram, peak_vram,"
    " node, error_type, error, client, stripped, changed, title, level, actions, freed, predicted, retried_as"
)

STORY = ("id", "title", "deaths", "node", "peak_ram", "peak_vram", "error")

TOLD_ASIDE = 10
"""Jobs in quarantine that `status` tells of; `GET batch` has all."""

MAY_RETRY = "state = 'failed' AND graph IS NOT NULL AND stripped = ''"

QUEUED = "id, number, graph, outputs, extra, stripped"


DEATH = (
    "UPDATE jobs SET deaths = deaths + 1, error_type = 'death', error = ?, state = ?,"
    " ended_at = ?, node = ?, peak_ram = ?, peak_vram = ? WHERE seq = ?"
)

WAITS = "UPDATE jobs SET state = 'queued' WHERE seq = ?"

DONE = "UPDATE jobs SET state = 'done', ended_at = ?, graph = NULL, extra = NULL WHERE seq = ?"


def wrote_all(outputs: Sequence[str], graph: Mapping[str, Any], note: Note) -> bool:
    """Whether all nodes of the prompt that leave something are known to have written what they were to write."""
    lasting = [node for node in outputs if class_of(graph, node) not in LEAVES_NOTHING]
    return bool(lasting) and all(
        node in note.writing and was_written(*_writing(note.writing[node])) for node in lasting
    )


def class_of(graph: Mapping[str, Any], node: str) -> str | None:
    """The class of a node of a graph that the disk may have made anything of; None where there is none."""
    found = graph.get(node)
    kind = found.get("class_type") if isinstance(found, dict) else None
    return kind if isinstance(kind, str) else None


def _writing(noted: Sequence[str | int]) -> tuple[str, int, int, str]:
    """What a note holds; an earlier version noted clips alone, without their count and ending."""
    start, highest, count, ending = (*noted, 1, ".mp4") if len(noted) == 2 else noted
    return str(start), int(highest), int(count), str(ending)


def prune(now: float, session: str) -> list[Statement]:
    """Keep the file bounded, in number and age. By order of arrival first: a clock may be wrong, a number is not."""
    return [
        (PRUNE_NUMBER, (KEPT,)),
        (PRUNE_AGE, (session, now - KEPT_SECONDS)),
        (PRUNE_GRAPHS, (KEPT_GRAPHS,)),
    ]


class JournalRows:
    """Reads rows, and changes those of earlier processes. Any thread.

    Args:
        read: runs a query; empty where the journal is off.
        write: commits statements.
        session: this process's; rows of others that have not ended are what can be restored.
    """

    def __init__(
        self,
        read: Callable[..., list[tuple[Any, ...]]],
        write: Callable[[Sequence[Statement]], None],
        session: str,
    ) -> None:
        self._read = read
        self._write = write
        self._session = session
        self.restorable = 0
        """Prompts of earlier processes that wait to be restored."""
        self.quarantined = 0
        """Jobs set aside because the process died too often while they ran."""
        self.aside: list[dict[str, Any]] = []
        """The newest of these in short, for `status`: id, title, deaths, node, peaks in bytes, and how it died."""

    def take_stock(
        self, left: Note, deaths: int, now: float, end: LastExit | None = None, in_place: str = ""
    ) -> list[Statement]:
        """What to write at the start: who ran when the process died, and who did so too often.

        Called once, before this process has rows of its own. `end` is what a supervisor knows of that end; the process
        with the session `in_place` has started itself anew, and is this one.
        """
        died_once_more = "coalesce(cast(deaths AS INTEGER), 0) + 1"
        # What ran as the process ended in order waits, and yet it may have come to its last byte by then.
        ran = self._read(
            f"SELECT seq, id, {died_once_more}, outputs, graph, state, started_at, session FROM jobs"
            " WHERE state = 'running' OR (state = 'queued' AND attempts > 0 AND id = ?)",
            (left.job,),
        )
        statements: list[Statement] = []
        for seq, job_id, died, outputs, graph, state, started, session in ran:
            note = left if left.job == job_id else Note()
            its_end = end if end is not None and end.is_of(started) else None
            if wrote_all(list(map(str, as_json(outputs, list))), as_json(graph, dict), note):
                log.info("prompt %s had written all it was to write when the last process died: done", job_id)
                statements.append((DONE, (now, seq)))
                continue
            if state == "queued":
                continue
            if session == in_place or (its_end is not None and not its_end.blames_the_job):
                statements.append((WAITS, (seq,)))
                continue
            detail, peak = (its_end.detail, its_end.peak) if its_end is not None else ("", None)
            how = "the process died while it ran" + (f": {detail}" if detail else "")
            ram = max(note.ram, peak or 0)
            log.warning(
                "the last process died while prompt %s ran%s; death %d of %d with it",
                *(job_id, f" (node {note.node})" if note.node else "", died, deaths),
            )
            becomes = "quarantined" if died >= deaths else "queued"
            values = (how, becomes, now, note.node, ram or None, json.dumps(dict(note.vram)), seq)
            statements.append((DEATH, values))
        return statements

    def count(self) -> None:
        """Take note of how many there are, for `status`, which is asked often."""
        waiting = f"session != ? AND state IN {LIVE}"
        found = self._read(
            f"SELECT coalesce(sum({waiting}), 0), coalesce(sum(state = 'quarantined'), 0) FROM jobs", (self._session,)
        )
        self.restorable, self.quarantined = (int(found[0][0]), int(found[0][1])) if found else (0, 0)
        aside = self.set_aside(TOLD_ASIDE) if self.quarantined else []
        self.aside = [{name: job[name] for name in STORY} for job in aside]

    def highest_number(self) -> float:
        """Of what can be restored; 0 where there is nothing."""
        found = self._read(
            "SELECT max(number) FROM jobs WHERE typeof(number) IN ('integer', 'real') AND session != ?"
            f" AND state IN ('quarantined', {LIVE[1:]}",
            (self._session,),
        )
        return float(found[0][0] or 0.0) if found else 0.0

    def to_restore(self, ids: Sequence[str] | None = None) -> list[tuple[Queued, str]]:
        """Prompts of earlier processes in their order, with what had to be left out of their graphs; all, or these."""
        rows = self._read(
            f"SELECT {QUEUED} FROM jobs WHERE session != ? AND state IN {LIVE} ORDER BY number, seq", (self._session,)
        )
        return [_queued(row) for row in rows if ids is None or row[0] in ids]

    def quarantined_one(self, job_id: str) -> tuple[Queued, str] | None:
        """One that is set aside."""
        rows = self._read(f"SELECT {QUEUED} FROM jobs WHERE id = ? AND state = 'quarantined' LIMIT 1", (job_id,))
        return _queued(rows[0]) if rows else None

    def adopt(self, job_id: str) -> None:
        """It is about to be in this process's queue."""
        self._write([(ADOPTED, (self._session, job_id, self._session))])

    def release(self, job_id: str) -> None:
        """Forget the deaths of a job that is set aside: it may be restored as any other."""
        sql = "UPDATE jobs SET state = 'queued', deaths = 0, session = '' WHERE id = ? AND state = 'quarantined'"
        self._write([(sql, (job_id,))])
        self.count()

    def give_up(self, job_id: str, why: str, now: float, state: str = "deleted") -> None:
        """A prompt of an earlier process will not be restored."""
        sql = (
            "UPDATE jobs SET state = ?, error = ?, ended_at = ?, graph = NULL, extra = NULL"
            f" WHERE id = ? AND session != ? AND state IN {LIVE}"
        )
        self._write([(sql, (state, why, now, job_id, self._session))])

    def jobs(self, limit: int, before: int | None = None) -> list[dict[str, Any]]:
        """The newest first; `before` is the `seq` of the last one of the page before. Without graphs."""
        return self._jobs("seq < ? ORDER BY seq DESC LIMIT ?", 2**62 if before is None else before, limit)

    def job(self, job_id: str) -> dict[str, Any] | None:
        """The newest with this id."""
        found = self._jobs("id = ? ORDER BY seq DESC LIMIT 1", job_id)
        return found[0] if found else None

    def left(self, limit: int) -> list[dict[str, Any]]:
        """What an earlier process left and could be restored, in its order."""
        return self._jobs(f"session != ? AND state IN {LIVE} ORDER BY number, seq LIMIT ?", self._session, limit)

    def set_aside(self, limit: int) -> list[dict[str, Any]]:
        """The jobs in quarantine, newest first."""
        return self._jobs("state = 'quarantined' ORDER BY seq DESC LIMIT ?", limit)

    def last_number(self) -> float:
        """The highest place in the queue that this process has given."""
        found = self._read("SELECT max(number) FROM jobs WHERE session = ?", (self._session,))
        return float(found[0][0] or 0.0) if found else 0.0

    def to_retry(self) -> list[str]:
        """Ids of failed prompts that can be queued again, in their order; those that somebody cancelled left out."""
        rows = self._read(f"SELECT id FROM jobs WHERE {MAY_RETRY} AND error_type != 'interrupted' ORDER BY seq")
        return [str(row[0]) for row in rows]

    def failed(self, job_id: str) -> Queued | None:
        """The newest prompt with this id, if it failed and can be queued again."""
        rows = self._read(
            f"SELECT {QUEUED} FROM jobs WHERE id = ? AND {MAY_RETRY} ORDER BY seq DESC LIMIT 1", (job_id,)
        )
        return _queued(rows[0])[0] if rows else None

    def retried(self, job_id: str, new_id: str) -> None:
        """It is queued again under another id; the old row keeps its story."""
        sql = f"UPDATE jobs SET retried_as = ?, graph = NULL, extra = NULL WHERE id = ? AND {MAY_RETRY}"
        self._write([(sql, (new_id, job_id))])

    def _jobs(self, where: str, *values: Any) -> list[dict[str, Any]]:
        rows = self._read(f"SELECT {COLUMNS}, {MAY_RETRY} FROM jobs WHERE {where}", values)
        return [self._told(row) for row in rows]

    def _told(self, row: tuple[Any, ...]) -> dict[str, Any]:
        *told, may_retry = (None if isinstance(cell, bytes) else cell for cell in row)
        found = dict(zip(COLUMNS.replace(" ", "").split(","), told, strict=True))
        found["can_retry"] = bool(may_retry)
        found["retries"] = max(0, found["attempts"] - 1) if isinstance(found["attempts"], int) else 0
        other = found.pop("session") != self._session
        found["restorable"] = other and found["state"] in ("queued", "running", "retried")
        started, queued = found["started_at"], found["queued_at"]
        # A clock that was set back meanwhile must not make a wait negative.
        both = isinstance(started, (int, float)) and isinstance(queued, (int, float))
        found["wait"] = max(0.0, float(started or 0) - float(queued or 0)) if both else None
        found["peak_vram"] = as_json(found["peak_vram"], dict)
        return found


def _queued(row: tuple[Any, ...]) -> tuple[Queued, str]:
    job_id, number, graph, outputs, extra, stripped = row
    place = number if isinstance(number, (int, float)) else 0.0
    prompt = Queued(
        str(job_id), place, as_json(graph, dict), tuple(map(str, as_json(outputs, list))), as_json(extra, dict)
    )
    return prompt, str(stripped or "")


def as_json(cell: Any, kind: type[T]) -> T:
    """A cell's JSON; an empty one where the disk has made something else of it: one bad row must not hide the others.

    A prompt whose graph is lost is refused by the host, and told.
    """
    try:
        value = json.loads(cell) if cell else kind()
    except (ValueError, TypeError, RecursionError):
        value = None
    if isinstance(value, kind):
        return value
    log.warning("an entry of the journal is damaged: there is no %s where one should be", kind.__name__)
    return kind()
