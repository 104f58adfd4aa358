"""The supervisor with real processes: servers that die, hang, ignore signals, are killed for memory, leave orphans."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from resource_gate.batch.client import Client, ClientError
from resource_gate.batch.local.memory_limit import MemoryLimiter
from resource_gate.batch.local.server_process import free_port
from resource_gate.batch.supervisor.child import start_child
from resource_gate.batch.supervisor.command import child_environment
from resource_gate.batch.supervisor.exits import ExitLog
from resource_gate.batch.supervisor.look import Watcher
from resource_gate.batch.supervisor.policy import Restarts
from resource_gate.batch.supervisor.reboot_marker import RebootMarker
from resource_gate.batch.supervisor.supervisor import Supervisor
from resource_gate.batch.supervisor.system import Posix, Step
from resource_gate.batch.supervisor.verdict import HangWatch

MIB = 1024**2

SERVER = """
import argparse, http.server, json, os, signal, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--base-directory")
parser.add_argument("--stubborn", action="store_true")
parser.add_argument("--reboot-once", action="store_true")
options = parser.parse_args()
base = options.base_directory
with open(base + "/lives", "a") as file:
    file.write(f"{os.getpid()}\\n")
lives = len(open(base + "/lives").readlines())
print("life", lives, *(os.environ.get("RESOURCE_GATE_" + name) for name in ("SUPERVISED", "GATE_RESTORE")), flush=True)
orphans = []
FORK = "import os, time; print(os.fork() or (time.sleep(0.2), os._exit(0)))"
if options.stubborn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
else:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if options.reboot_once and lives == 1:
    open(os.environ["__COMFY_CLI_SESSION__"] + ".reboot", "w").close()
    sys.exit(0)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, verb, *rest = self.path.split("/")
        if verb == "eat":
            self.server.held = [bytearray(b"x") * (1 << 20) for _ in range(int(rest[0]))]
        elif verb == "exit":
            os._exit(int(rest[0]))
        elif verb == "sleep":
            time.sleep(float(rest[0]))
        elif verb == "leave":  # a child in our group, that outlives us
            left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            open(base + "/left", "w").write(str(left.pid))
        elif verb == "orphan":  # a grandchild whose parent ends at once, and which ends itself soon after
            orphans.append(int(subprocess.run([sys.executable, "-c", FORK], stdout=subprocess.PIPE).stdout))
        elif verb == "orphans":  # one that has ended and was not waited for is still there
            there = [pid for pid in orphans if os.path.exists(f"/proc/{pid}")]
            return self.answer(200, {"made": len(orphans), "there": len(there), "parent": os.getppid()})
        elif verb == "resource_gate":
            found = os.path.exists(base + "/status.json")
            return self.answer(200, json.load(open(base + "/status.json"))) if found else self.answer(404, {})
        self.answer(200, {"queue_running": [], "queue_pending": []})

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


try:
    http.server.HTTPServer(("127.0.0.1", options.port), Handler).serve_forever()
except KeyboardInterrupt:
    print("stopped in order", flush=True)
    sys.exit(4)
"""

DEAD_WORKER = {
    "resources": {},
    "process": None,
    "worker_alive": False,
    "gate": {"state": "open"},
    "queue": {"running": ["a"], "pending": 2, "node": "7 Hostile", "progress": None},
    "batch": {"done": 3, "failed": 0, "retried": 0},
}


def until(condition, seconds=60.0):
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.02)
    return found


class Served:
    """A server's script, port and folder, and what a test sees of its lives."""

    def __init__(self, folder: Path) -> None:
        self.base = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "server.py").write_text(SERVER)

    def command(self, *flags: str) -> list[str]:
        script = [sys.executable, str(self.base / "server.py"), "--port", str(self.port)]
        return [*script, "--base-directory", str(self.base), *flags]

    @property
    def lives(self) -> list[int]:
        """The pids so far."""
        return [int(line) for line in (self.base / "lives").read_text().split()] if self._has("lives") else []

    @property
    def exits(self) -> list[dict]:
        path = self.base / "user/__resource_gate/exits.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _has(self, name: str) -> bool:
        return (self.base / name).exists()

    def ready(self, life: int) -> None:
        """Wait until that life answers."""
        until(lambda: len(self.lives) >= life and self._answers())

    def _answers(self) -> bool:
        try:
            Client(self.url, timeout=5).queue()
        except ClientError:
            return False
        return True

    def tell(self, path: str, timeout: float = 5.0) -> dict | None:
        """Tell it to do something; None where it did not survive that, or did not answer."""
        try:
            return Client(self.url, timeout).call("GET", path)
        except ClientError:
            return None


@pytest.fixture
def served(tmp_path):
    return Served(tmp_path)


class QuickPosix(Posix):
    """Gives a child so many seconds at each step to its end."""

    def __init__(self, patience):
        super().__init__()
        self.steps = (Step("SIGINT", signal.SIGINT, patience), Step("SIGTERM", signal.SIGTERM, patience))


class Asked:
    """The signals' place: what a test puts there."""

    def __init__(self):
        self.numbers: list[int] = []

    def take(self):
        taken, self.numbers = self.numbers, []
        return taken

    def stops(self, number):
        return True


@pytest.fixture
def supervise(served):
    """Run a supervisor on a thread, that looks ten times a second; stopped after the test.

    It loses patience only where it is told to: a machine with much to do must not look like a server that hangs.
    """
    marker, asked, said = RebootMarker({}), Asked(), []
    threads = []

    def start(*flags, limit=None, hang_after=60.0, timeout=20.0, patience=30.0):
        system = QuickPosix(patience)
        supervisor = Supervisor(
            partial(start_child, served.command(*flags), child_environment(os.environ, marker), system, limit),
            partial(Watcher, served.url, 0.1, timeout),
            asked,
            system,
            restarts=Restarts(),
            hang=HangWatch(hang_after),
            leak=None,
            exits=ExitLog(served.base / "user/__resource_gate", said.append),
            rebooting=marker.take,
            say=said.append,
            url=served.url,
        )
        threads.append(threading.Thread(target=supervisor.run))
        threads[-1].start()
        return said

    yield start
    asked.numbers += [signal.SIGTERM] * 3
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    marker.close()


def test_a_server_killed_from_outside_is_back(supervise, served):
    supervise()
    served.ready(1)
    os.kill(served.lives[0], signal.SIGKILL)
    served.ready(2)
    assert (served.exits[0]["reason"], served.exits[0]["signal"]) == ("signal", "SIGKILL")
    assert served.exits[0]["pid"] == served.lives[0] != served.lives[1]


def test_a_server_that_answers_no_more_and_heeds_nothing_is_killed_and_back(supervise, served):
    said = supervise("--stubborn", hang_after=0.5, timeout=0.3, patience=0.3)
    served.ready(1)
    until(lambda: any("answers at" in line for line in said))
    served.tell("/sleep/600", timeout=0.2)
    served.ready(2)
    assert served.exits[0]["reason"] == "hang" and served.exits[0]["signal"] == "SIGKILL"
    assert "has not answered" in served.exits[0]["detail"]


def test_a_server_whose_worker_is_dead_is_ended_in_order_and_back(supervise, served):
    supervise()
    served.ready(1)
    (served.base / "status.json").write_text(json.dumps(DEAD_WORKER))
    until(lambda: served.exits)
    (served.base / "status.json").unlink()
    served.ready(2)
    told = served.exits[0]
    assert (told["reason"], told["code"], told["node"], told["jobs"]) == ("hang", 4, "7 Hostile", ["a"])


def test_what_a_dead_server_leaves_of_its_group_is_ended_before_the_next_life(supervise, served, alive):
    supervise()
    served.ready(1)
    served.tell("/leave")
    left = int((served.base / "left").read_text())
    assert alive(left)
    served.tell("/exit/3")
    served.ready(2)
    until(lambda: not alive(left))


@pytest.fixture
def limits(kernel_groups):
    if kernel_groups is None:
        pytest.skip("no control group can be made on this machine")
    return kernel_groups


def test_a_server_killed_for_memory_under_our_own_limit_is_told_as_that(supervise, served, limits):
    supervise(limit=150 * MIB)
    served.ready(1)
    served.tell("/eat/400")
    served.ready(2)
    assert served.exits[0]["reason"] == "oom kill"
    assert 100 * MIB < served.exits[0]["peak"] <= 150 * MIB


def cli(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "resource_gate.cli", "run", *arguments]


@pytest.fixture
def run_cli(served):
    """Run `resource-gate run` as a process of its own; killed after the test, its server too."""
    started = []

    def start(*arguments, before=(), command=None):
        process = subprocess.Popen(
            [*before, *cli(*arguments, "--", *(command or served.command()))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=served.base,
            # A test run in the background of a shell ignores SIGINT, and hands that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.communicate()


def test_killed_by_the_kernel_in_a_group_that_is_not_ours_as_in_a_container(served, limits):
    """The supervisor lives in the same group, is smaller, and survives."""
    with MemoryLimiter(limits).start(
        cli("--", *served.command()), 250 * MIB, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as group:
        served.ready(1)
        served.tell("/eat/600")
        served.ready(2)
        assert served.exits[0]["reason"] == "oom kill"
        assert group.process.poll() is None and group.oom_kills == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 4), (signal.SIGTERM, 143)])
def test_signals_reach_the_server_its_output_is_ours_and_so_is_its_exit(run_cli, served, number, status):
    process = run_cli()
    served.ready(1)
    process.send_signal(number)
    output = process.communicate(timeout=30)[0]
    assert process.returncode == status
    assert "life 1 1 now\n" in output
    assert ("stopped in order" in output) == (number == signal.SIGINT)
    assert len(served.lives) == 1


@pytest.mark.parametrize("code", [0, 3])
def test_its_own_code_is_ours_where_it_is_not_started_again(run_cli, served, code):
    process = run_cli("--limit-per-hour", "0")
    served.ready(1)
    served.tell(f"/exit/{code}")
    process.communicate(timeout=30)
    assert process.returncode == (0 if code == 0 else 69)


def test_comfyui_managers_restart_is_a_restart(run_cli, served):
    process = run_cli("--limit-per-hour", "0", command=served.command("--reboot-once"))
    served.ready(2)
    process.send_signal(signal.SIGINT)
    assert "asked to be started again" in process.communicate(timeout=30)[0]
    assert [told["reason"] for told in served.exits] == ["reboot", "asked"]


def test_a_command_that_does_not_exist_is_told_and_no_command_too(run_cli):
    process = run_cli(command=["no-such-program-here"])
    assert "no-such-program-here" in process.communicate(timeout=30)[0]
    assert process.returncode == 127
    empty = subprocess.run(cli(), capture_output=True, text=True, check=False)
    assert empty.returncode == 2 and "No command" in empty.stderr


@pytest.fixture
def namespace():
    unshare = shutil.which("unshare")
    before = [unshare or "", "--pid", "--fork", "--mount-proc"]
    if unshare is None or subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made on this machine")
    return before


def test_as_process_1_it_passes_signals_on_and_reaps_orphans(run_cli, served, namespace):
    process = run_cli(before=namespace)
    served.ready(1)
    for _ in range(3):
        served.tell("/orphan")
    until(lambda: served.tell("/orphans") == {"made": 3, "there": 0, "parent": 1})
    [first] = psutil.Process(process.pid).children()
    first.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143 and served.exits[-1]["reason"] == "asked"


def test_the_embedded_host_is_supervised_like_any_other(run_cli, served):
    command = [sys.executable, "-m", "resource_gate.host.embedded", "--port", str(served.port)]
    process = run_cli(command=[*command, "--base-directory", str(served.base)])
    client = Client(served.url, timeout=10)
    client.wait_ready(60, lambda: process.poll() is None)
    [first] = psutil.Process(process.pid).children()
    first.kill()
    first.wait()
    client.wait_ready(60, lambda: process.poll() is None)
    assert client.status()["gate"]["state"] == "open"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert [told["reason"] for told in served.exits] == ["signal", "asked"]
