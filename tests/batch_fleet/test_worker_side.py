from __future__ import annotations

import json
import pickle
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resource_gate.batch.errors import ClientError
from resource_gate.batch.fleet.worker_side import LEASES, LEAVING, LOOKS, MachinePlugin, Order, as_dict, as_result
from resource_gate.batch.joblist.job import InputFile, Job
from resource_gate.batch.runner.options import RunOptions
from resource_gate.batch.runner.result import STOPPED, JobResult


class Worker:
    """Notes what is told to the scheduler."""

    def __init__(self) -> None:
        self.address = "tcp://127.0.0.1:1"
        self.status = SimpleNamespace(name="running")
        self.events: list[tuple[str, Any]] = []

    def log_event(self, topic: str, message: Any) -> None:
        self.events.append((topic, message))


def set_up(plugin: MachinePlugin, worker: Worker) -> None:
    """On a thread of its own: on the main thread it would take Ctrl-C from the tests."""
    thread = threading.Thread(target=plugin.setup, args=(worker,))
    thread.start()
    thread.join()


@pytest.fixture
def plugin(tmp_path: Path) -> MachinePlugin:
    return MachinePlugin("a", "http://127.0.0.1:1", tmp_path / "worker")


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order("lease1", Job(0, "clip", {}), RunOptions(tmp_path / "out", "id"), 4, "topic", here=True)


def test_a_job_is_performed_with_its_events_passed_on_under_its_lease(plugin, order):
    worker = Worker()

    def run(job, server, options, tell, stop, attempt):
        tell({"event": "progress", "index": 0})
        return JobResult(True, attempts=attempt, outputs=(options.out / "clip.mp4",), peak_vram={"vram0": 3})

    told = plugin.perform(order, worker, run)
    assert as_result(told) == JobResult(
        True, attempts=4, outputs=(order.options.out / "clip.mp4",), peak_vram={"vram0": 3}
    )
    assert worker.events == [("topic", {"lease": "lease1", "event": {"event": "progress", "index": 0}})]
    assert list((plugin.folder / LEASES).iterdir()) == []


def test_elsewhere_inputs_come_from_the_leases_folder_and_outputs_wait_there(plugin, order, tmp_path):
    job = Job(0, "clip", {}, (InputFile("1", "file", Path("/only/there/clip.mp4")),))
    sent = Order("lease1", job, order.options, 1, "topic", here=False, files=(f"{LEASES}/lease1/in0/clip.mp4",))
    seen = []

    def run(job, server, options, tell, stop, attempt):
        seen.append(job.files[0].path)
        return JobResult(True, outputs=(options.out / "clip.mp4",))

    told = plugin.perform(sent, Worker(), run)
    assert seen == [plugin.folder / LEASES / "lease1" / "in0" / "clip.mp4"]
    assert told["outputs"] == ["clip.mp4"]
    assert (plugin.folder / LEASES / "lease1").is_dir()


def test_a_job_is_stopped_while_it_runs_and_before_it_begins(plugin, order):
    began = threading.Event()

    def run(job, server, options, tell, stop, attempt):
        began.set()
        assert stop.wait(30)
        return JobResult(False, STOPPED)

    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(plugin.perform(order, Worker(), run)))
    thread.start()
    assert began.wait(30)
    plugin.stop("lease1")
    thread.join(30)
    assert told[0]["error_kind"] == STOPPED
    plugin.stop("lease2")
    again = plugin.perform(Order("lease2", *list(vars(order).values())[1:]), Worker(), run)
    assert again["error_kind"] == STOPPED and not thread.is_alive()


@pytest.mark.parametrize("ended", [False, True])
def test_of_a_job_that_is_given_anew_nothing_stays_here_that_nobody_would_ever_fetch(plugin, order, ended):
    began, go_on = threading.Event(), threading.Event()
    sent = Order("lease1", *list(vars(order).values())[1:5], here=False)

    def run(job, server, options, tell, stop, attempt):
        options.out.mkdir(parents=True)
        (options.out / "clip.mp4").write_bytes(b"large")
        began.set()
        assert go_on.wait(30)
        return JobResult(True, outputs=(options.out / "clip.mp4",))

    thread = threading.Thread(target=plugin.perform, args=(sent, Worker(), run))
    thread.start()
    assert began.wait(30)
    if ended:
        go_on.set()
        thread.join(30)
        assert (plugin.folder / LEASES / "lease1").is_dir()
    plugin.let_go("lease1")
    go_on.set()
    thread.join(30)
    assert list((plugin.folder / LEASES).iterdir()) == []


def test_looks_are_told_with_the_machines_name_and_leaving_is_one_state(plugin):
    worker = Worker()
    plugin.folder.mkdir()
    (plugin.folder / LEAVING).touch()
    set_up(plugin, worker)
    try:
        give_up = time.monotonic() + 30
        while not worker.events and time.monotonic() < give_up:
            time.sleep(0.01)
    finally:
        plugin.teardown(worker)
    topic, told = worker.events[0]
    assert topic == LOOKS
    assert (told["machine"], told["address"], told["reading"]["state"]) == ("a", worker.address, "ill")
    assert "told to leave" in told["reading"]["reason"]


def test_what_an_earlier_worker_left_is_swept(plugin):
    (plugin.folder / LEASES / "old").mkdir(parents=True)
    set_up(plugin, Worker())
    plugin.teardown(Worker())
    assert not (plugin.folder / LEASES).exists()


def test_the_plugin_and_an_order_can_be_sent(plugin, order):
    again = pickle.loads(pickle.dumps(plugin))
    assert (again.machine, again.url, again.folder) == (plugin.machine, plugin.url, plugin.folder)
    assert pickle.loads(pickle.dumps(order)) == order


def test_a_result_survives_being_sent():
    result = JobResult(
        False, "bug", "why", "5 X", 2, 3.0, 1.0, 99, {"vram0": 1}, (Path("a") / "b.mp4",), "server", ("freed",), 100
    )
    assert as_result(as_dict(result)) == result


class Answers(BaseHTTPRequestHandler):
    """Answers each POST with what its server was given."""

    def do_POST(self) -> None:
        self.server.asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        body = json.dumps(self.server.answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (200, {"need": {"ram": 5, "known": True}}, {"ram": 5, "known": True}),
        (200, {"need": None}, None),
        (200, ["another program"], None),
        (404, {}, None),
        (405, {}, None),
        (429, {"error": {}}, None),
    ],
)
def test_the_server_is_asked_what_a_graph_would_need_and_may_say_nothing(tmp_path, status, answer, told):
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        server.asked, server.status, server.answer = [], status, answer
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        plugin = MachinePlugin("a", f"http://127.0.0.1:{server.server_port}", tmp_path)
        assert plugin.foretell({"1": {}}) == told
        server.shutdown()
    assert server.asked == [("/resource_gate/predictions", {"prompt": {"1": {}}})]


def test_a_server_that_is_gone_foretells_nothing(plugin):
    assert plugin.foretell({}) is None


class Queue(BaseHTTPRequestHandler):
    """A server with a prompt that runs until it is interrupted, one that has ended, and none other."""

    def do_GET(self) -> None:
        if self.path == "/queue":
            running = [] if self.server.interrupted else [[0, "runs"]]
            self._tell({"queue_running": running, "queue_pending": []})
        else:
            self._tell({"ended": {"outputs": {}, "status": {"status_str": "success", "messages": []}}})

    def do_POST(self) -> None:
        self.server.interrupted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._tell({})

    def _tell(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def test_prompts_are_called_off_at_the_server_and_what_had_ended_there_is_told(tmp_path):
    with HTTPServer(("127.0.0.1", 0), Queue) as server:
        server.interrupted = []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        plugin = MachinePlugin("a", f"http://127.0.0.1:{server.server_port}", tmp_path)
        assert plugin.call_off(["runs", "ended", "never heard of"]) == ["gone", "ended", "gone"]
        server.shutdown()
    assert server.interrupted == [{"prompt_id": "runs"}]


def test_what_cannot_be_called_off_is_an_error(plugin):
    with pytest.raises(ClientError):
        plugin.call_off(["x"])


def test_a_job_that_is_let_go_of_ends_and_says_that_its_prompt_stays(plugin, order):
    seen = []

    def run(job, server, options, tell, stop, attempt):
        plugin.let_go(order.lease)
        seen.append((stop.is_set(), stop.leaves))
        return JobResult(False, STOPPED)

    plugin.perform(order, Worker(), run)
    assert seen == [(True, True)]
    assert as_result(plugin.perform(order, Worker(), run)).error_kind == STOPPED and len(seen) == 1
