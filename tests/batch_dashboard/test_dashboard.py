from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from resource_gate.batch.dashboard.board import Board
from resource_gate.batch.dashboard.serve import Dashboard, dashboard_beside
from resource_gate.batch.fleet.machine import Memory, Reading
from resource_gate.batch.fleet.roster import Roster
from resource_gate.batch.runner.events import event
from resource_gate.batch.runner.result import JobResult


class Shown:
    def __init__(self) -> None:
        self.events: list[Any] = []
        self.closed = False

    def on(self, event: Any) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def board() -> Board:
    made = Board(clock=lambda: 1000.0)
    made.on({**event("batch_started", total=5, servers=["http://a:1", "http://b:2"]), "time": 900.0})
    return made


@pytest.fixture
def get(board: Board) -> Iterator[Callable[..., tuple[int, str, bytes]]]:
    with Dashboard(board, 0) as dashboard:

        def ask(path: str, host: str = "") -> tuple[int, str, bytes]:
            request = urllib.request.Request(dashboard.url + path, headers={"Host": host} if host else {})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.headers["Content-Type"], answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.headers["Content-Type"], error.read()

        yield ask


def test_the_page_its_script_and_its_texts_are_served(get):
    assert b"<main" in get("")[2] and get("resource_gate/")[2] == get("")[2]
    scripts = json.loads(get("extensions")[2])
    assert scripts == ["/extensions/resource-gate/resource_gate.js"]
    status, kind, script = get(scripts[0].lstrip("/"))
    assert (status, kind) == (200, "text/javascript") and len(script) > 10_000
    assert "title" in json.loads(get("i18n")[2])["en"]["resourceGate"]


def test_machines_are_told_with_memory_state_and_job(get, board):
    roster = Roster()
    gpu = {"name": "card", "used": 6, "total": 24}
    one = roster.seen("a", "http://a:1", Reading(1.0, level="warning", ram=Memory(85, 100), gpus=(gpu,)), 1.0)
    board.machine(one, None, None)
    board.machine(roster.expect("b", "http://b:2", 1.0), None, None)
    board.on(event("job_started", index=0, name="clip", server="a"))
    board.on(event("progress", index=0, node="12 ImageScale", value=1, max=4))
    told = json.loads(get("resource_gate/fleet")[2])
    a, b = told["machines"]
    assert (a["name"], a["url"], a["state"], a["level"]) == ("a", "http://a:1", "up", "warning")
    assert a["ram"]["fraction"] == 0.85 and a["ram"]["tiers"]["critical"] == 0.9
    assert a["gpus"] == [{**gpu, "fraction": 0.25}]
    assert a["job"] == {"name": "clip", "node": "12 ImageScale", "progress": 0.25}
    assert (b["state"], b["ram"], b["job"]) == ("joining", None, None)
    assert told["batch"]["state"] == "running" and told["batch"]["total"] == 5 and told["dask"] is None


def test_why_a_machine_has_left_or_rests_is_told_in_parts_too(board):
    roster = Roster()
    for name in ("left", "rests"):
        roster.seen(name, "http://a:1", Reading(1.0), 1.0)
    roster.leave("left", "it has not been heard of for 30 s", 2.0, {"code": "silent", "seconds": 30.0})
    roster.machines["rests"].breaker.record(JobResult(False, "server", "away for long", cause={"code": "away"}))
    for machine in roster.machines.values():
        board.machine(machine, None, None)
    left, rests = board.fleet()["machines"]
    assert (left["state"], left["cause"]) == ("left", {"code": "silent", "seconds": 30.0})
    assert (rests["state"], rests["reason"], rests["cause"]) == ("resting", "away for long", {"code": "away"})
    back = roster.seen("left", "http://a:1", Reading(3.0), 3.0)
    board.machine(back, None, None)
    assert board.fleet()["machines"][0]["cause"] is None


def test_one_server_without_a_fleet_is_told_by_its_events(board):
    board.on(event("memory", server="http://a:1", used=5, limit=10, fraction=0.5, level="normal"))
    board.on(event("job_started", index=0, name="clip", server="http://a:1"))
    board.on(event("job_ended", index=0, name="clip", ok=True, seconds=2.0, server="http://a:1", attempts=3))
    board.on(event("job_ended", index=1, name="bad", ok=False, seconds=1.0, server="http://a:1", error="why"))
    board.on(event("server", server="http://a:1", state="back", reason="after 3 s"))
    board.on(event("server", server="http://b:2", state="gone", reason="refused", cause={"code": "gone"}))
    a, b = board.fleet()["machines"]
    assert (a["state"], a["ram"]["used"], a["done"], a["failed"]) == ("up", 5, 1, 1)
    assert (a["reason"], a["cause"]) == ("", None)
    assert (b["state"], b["reason"], b["cause"]) == ("gone", "refused", {"code": "gone"})
    rows = board.jobs(10, None)["jobs"]
    assert [(row["id"], row["state"], row["retries"], row["error"]) for row in rows] == [
        ("bad", "failed", 0, "why"),
        ("clip", "done", 2, None),
    ]


def test_jobs_come_a_page_at_a_time_newest_first(get, board):
    for index in range(5):
        board.on(event("job_ended", index=index, name=f"job{index}", ok=True, seconds=1.0))
    first = json.loads(get("resource_gate/batch?limit=3")[2])
    assert [row["id"] for row in first["jobs"]] == ["job4", "job3", "job2"]
    second = json.loads(get(f"resource_gate/batch?limit=3&before={first['next']}")[2])
    assert [row["id"] for row in second["jobs"]] == ["job1", "job0"] and second["next"] is None
    assert get("resource_gate/batch?limit=many")[0] == 400


def test_nothing_else_is_served_and_no_other_name_answers(get):
    for path in ("resource_gate/status", "extensions/resource-gate/../../pyproject.toml", "pyproject.toml", "ws"):
        assert get(path)[0] == 404, path
    assert get("resource_gate/fleet", host="attacker.example")[0] == 403


def test_names_that_no_system_takes_are_answered_like_others_and_print_no_trace(get, capfd):
    for name in ("%00.js", "a" * 5000 + ".js"):
        assert get(f"extensions/resource-gate/{name}")[0] == 404, name[:9]
    assert get("resource_gate/fleet", host="[::1")[0] == 403
    assert "Traceback" not in capfd.readouterr().err


def test_a_taken_port_costs_the_batch_nothing(board):
    view, said = Shown(), []
    with Dashboard(board, 0) as taken:
        port = int(taken.url.rstrip("/").rpartition(":")[2])
        with dashboard_beside(view, port, said.append) as (both, _):
            both.on(event("note", text="goes on"))
    assert "the batch runs without" in said[0] and view.events[0]["text"] == "goes on"


def test_a_view_and_the_dashboard_are_told_the_same(board):
    view, said = Shown(), []
    with dashboard_beside(view, 0, said.append) as (both, beside):
        both.on(event("batch_started", total=7, servers=["x"]))
        assert beside.fleet()["batch"]["total"] == 7
        both.close()
    assert view.closed and len(view.events) == 1 and said[0].startswith("Dashboard: http://127.0.0.1:")
