"""Several statements about one prompt, told before SQLite has taken the first of them, as one.

A short prompt is queued, started and done within one look of the writer. Then its graph need never be written into the
file, only to be taken out again, and one statement does for three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .redo import Statement
from .sql import ACCEPTED, ENDED, PRUNES, RAN, STARTED, WHOLE

PLAIN = frozenset({ACCEPTED, STARTED, ENDED})

VALUES = {sql: sql.count("?") for sql in PLAIN}


def folded(statements: Sequence[Statement]) -> list[Statement]:
    """The same in fewer: `ACCEPTED`, `STARTED` and `ENDED` of a prompt as `WHOLE`, the last two alone as `RAN`.

    A prompt of which anything else is told (it was taken out, put back, failed, asked for again under its id) is left
    as it is. What stands in place of several stands where the first stood, so that prompts keep their order.
    """
    places: dict[str, list[int]] = {}
    odd: set[str] = set()
    for place, (sql, values) in enumerate(statements):
        if sql in PLAIN:
            places.setdefault(_id(sql, values), []).append(place)
        elif sql not in PRUNES:
            odd.update(value for value in values if isinstance(value, str))
    instead: dict[int, Statement] = {}
    gone: set[int] = set()
    for job_id, found in places.items():
        one = None if job_id in odd else _one([statements[place] for place in found])
        if one is not None:
            instead[found[0]] = one
            gone.update(found[1:])
    return [instead.get(place, told) for place, told in enumerate(statements) if place not in gone]


def _id(sql: str, values: Sequence[object]) -> str:
    return str(values[0] if sql == ACCEPTED else values[-2] if len(values) > 1 else "")


def _one(told: Iterable[Statement]) -> Statement | None:
    """One statement for these of one prompt; None where they do not tell it from its start to its end."""
    told = list(told)
    kinds = [sql for sql, _ in told]
    if len(told) < 2 or any(len(values) != VALUES[sql] for sql, values in told):
        return None
    if kinds == [STARTED, ENDED]:
        (_, (started, job_id, session)), (_, ended) = told
        return RAN, (started, *ended[:-2], job_id, session)
    if kinds == [ACCEPTED, STARTED, ENDED]:
        (_, queued), (_, (started, *_)), (_, ended) = told
        job_id, number, session, _, outputs, _, client, stripped, queued_at, title = queued
        return WHOLE, (job_id, number, session, outputs, client, stripped, queued_at, title, started, *ended[:-2])
    return None
