from __future__ import annotations

import io
import json
import threading
from typing import Any

import pytest
from rich.console import Console

from resource_gate.batch.progress.rich_view import RichView
from resource_gate.batch.progress.state import BatchState
from resource_gate.batch.progress.view import JsonView, PlainView, make_view

from .conftest import said

Batch = list[dict[str, Any]]


def plain(batch: Batch) -> list[str]:
    out = io.StringIO()
    view = PlainView(out)
    for event in batch:
        view.on(event)
    view.close()
    return [line.split(" ", 1)[1] for line in out.getvalue().splitlines()]


def test_plain_lines_tell_what_matters_once(batch: Batch) -> None:
    server = "http://127.0.0.1:8188"
    assert plain(batch) == [
        f"4 jobs on {server}",
        f"[0/4] clip_1 started on {server}",
        "[1/4] clip_1 done in 30 s; about 90 s left",
        f"[1/4] clip_2 started on {server}",
        "clip_2: try 2 of 3 in 15 s (out of memory)",
        f"{server}: gone: connection reset",
        f"{server}: connecting again, 1 of 5",
        f"{server}: back: after 9 s",
        "[2/4] clip_2 FAILED after 60 s: out of memory [brackets]; about 60 s left",
        f"[2/4] clip_3 started on {server}",
        "[3/4] clip_3 done in 50 s; about 40 s left",
        f"{server}: memory critical, 90% of 16.0 GB",
        f"[3/4] clip_4 started on {server}",
        "clip_4 waits: memory at 90%; it starts below 80%",
    ]


def test_the_end_and_a_note_are_told(batch: Batch, start: float) -> None:
    end = [{"event": "note", "time": start + 150, "text": "No extension there."}]
    end += [{"event": "batch_ended", "time": start + 160, "done": 2, "failed": 1}]
    assert plain(batch + end)[-2:] == ["No extension there.", "2 done, 1 failed of 4 in 3 min"]


def test_a_resumed_batch_counts_what_has_ended_before(start: float) -> None:
    begun = {"event": "batch_started", "time": start, "total": 10, "done": 3, "failed": 1}
    assert plain([begun]) == ["10 jobs; 4 have ended before"]


def test_events_and_fields_that_nobody_knows_change_nothing(start: float) -> None:
    assert plain([{"event": "sunrise", "time": start}, {"time": start}, {"event": "waiting", "index": 7}]) == []


def test_json_lines_are_the_events(batch: Batch) -> None:
    out = io.StringIO()
    view = JsonView(out)
    for event in batch:
        view.on(event)
    assert [json.loads(line) for line in out.getvalue().splitlines()] == batch


def test_the_state_counts_jobs_and_what_runs(batch: Batch, start: float) -> None:
    state = BatchState()
    for event in batch:
        state.apply(event)
    assert (state.total, state.done, state.failed, state.retried, state.left) == (4, 2, 1, 1, 0)
    assert state.running[3].waiting.startswith("memory at 90%")
    eta = state.eta(start + 151)
    assert eta is not None
    assert eta.expected == pytest.approx(30.0)


def draw(batch: Batch, now: float, width: int = 100) -> str:
    out = io.StringIO()
    view = RichView(console=Console(file=out, width=width), clock=lambda: now)
    for event in batch:
        view.on(event)
    shown = Console(file=io.StringIO(), record=True, width=width)
    shown.print(view.render())
    view.close()
    return shown.export_text()


def test_the_terminal_shows_how_far_it_is_what_waits_and_memory(batch: Batch, start: float) -> None:
    text = draw(batch, start + 150)
    assert "3 of 4, 1 failed, 1 retried" in text
    assert "about 31 s left" in text
    assert "clip_4" in text
    assert "waits: memory at 90%; it starts below 80%" in text
    assert "90% of 16.0 GB, critical" in text
    bar = next(line for line in text.splitlines() if line.startswith("memory "))
    assert bar[7:37] == "█" * 25 + "┃█││·"


def test_the_terminal_shows_the_node_that_runs(batch: Batch, start: float) -> None:
    text = draw(batch[:5], start + 6)
    assert "12 KSampler 15%" in text
    assert "6.0 s" in text


def test_what_has_ended_stays_above_the_drawing_and_brackets_are_no_markup(batch: Batch, start: float) -> None:
    out = io.StringIO()
    view = RichView(console=Console(file=out, width=120), clock=lambda: start + 150)
    for event in batch:
        view.on(event)
    view.close()
    view.on(batch[-1])
    assert "clip_2 FAILED after 60 s: out of memory [brackets]" in out.getvalue()


def test_events_from_many_threads_are_all_counted(start: float) -> None:
    view = RichView(console=Console(file=io.StringIO(), width=100), clock=lambda: start)
    view.on({"event": "batch_started", "time": start, "total": 80})

    def work(first: int) -> None:
        for index in range(first, first + 20):
            view.on({"event": "job_started", "time": start, "index": index, "name": str(index)})
            view.on({"event": "job_ended", "time": start + 1, "index": index, "name": str(index), "ok": True})

    threads = [threading.Thread(target=work, args=(20 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    shown = Console(file=io.StringIO(), record=True, width=100)
    shown.print(view.render())
    view.close()
    assert "80 of 80" in shown.export_text()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_view_fits_where_it_is_written_to() -> None:
    assert isinstance(make_view(io.StringIO()), PlainView)
    assert isinstance(make_view(Terminal()), RichView)
    assert isinstance(make_view(Terminal(), as_json=True), JsonView)


def test_a_clock_that_is_set_back_makes_no_job_short(start: float) -> None:
    state = BatchState()
    for event in (
        said("batch_started", 0, total=3, servers=["a"]),
        said("job_started", 0, index=0, name="clip_1", server="a"),
        said("progress", 50, index=0, node="1 X", value=1, max=2),
        said("progress", 60 - 3600, index=0, node="1 X", value=2, max=2),
        said("job_ended", 100 - 3600, index=0, name="clip_1", ok=True),
        said("job_started", 100 - 3600, index=1, name="clip_2", server="a"),
    ):
        state.apply(event)
    eta = state.eta(start + 120 - 3600)
    assert eta is not None
    assert eta.expected == pytest.approx(90 + 70)
    assert state.started == start - 3590  # ten seconds between two events are what nobody can tell
