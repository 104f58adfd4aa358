"""A memory hierarchy made of plain files, a server that speaks enough of ComfyUI, and something that eats memory."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resource_gate.batch.local.cgroups import Cgroups, CgroupUnavailable, Kernel

HOG = """
import sys, time
held = [bytearray(b"x") * (1 << 20) for _ in range(int(sys.argv[1]))]
print("full", flush=True)
time.sleep(float(sys.argv[2])) if len(sys.argv) > 2 else sys.stdin.read()
"""


@pytest.fixture
def hog() -> Callable[..., list[str]]:
    """Make a command that takes so many MiB, says `full`, and holds them for so many seconds.

    With None it holds them until its standard input ends.
    """
    return lambda mib, seconds=0.0: [sys.executable, "-c", HOG, str(mib), *([] if seconds is None else [str(seconds)])]


@pytest.fixture(scope="session")
def kernel_groups() -> Cgroups | None:
    """Real control groups where this machine lets us make them."""
    groups = Cgroups()
    try:
        groups.open(None).remove()
    except CgroupUnavailable:
        return None
    return groups


class V2Tree:
    """A version 2 hierarchy in a folder; `top/slice/ours` is the group that we live in."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.top = root / "cgroup"
        self.slice = self.top / "slice"
        self.own = self.slice / "ours"
        self.killed: list[int] = []
        for folder, delegated in ((self.top, "memory pids"), (self.slice, "memory"), (self.own, "")):
            folder.mkdir()
            (folder / "cgroup.controllers").write_text("cpu memory pids\n")
            (folder / "cgroup.subtree_control").write_text(delegated)
        (self.proc / "self").mkdir(parents=True)
        self.mount("/", f"{self.top}")
        (self.proc / "self/cgroup").write_text("0::/slice/ours\n")

    def mount(self, root: str, point: str, kind: str = "cgroup2", options: str = "rw,nsdelegate") -> None:
        with (self.proc / "self/mountinfo").open("a") as file:
            file.write(f"30 23 0:26 {root} {point} rw,nosuid shared:4 - {kind} cgroup {options}\n")

    def kernel(self) -> Kernel:
        return Kernel(self.make, shutil.rmtree, self.kill)

    def make(self, path: Path) -> None:
        """Do what mkdir does there: the group comes with its files."""
        path.mkdir()
        for name, text in {
            "cgroup.procs": "",
            "memory.max": "max",
            "memory.swap.max": "max",
            "memory.peak": "4096\n",
            "memory.stat": "anon 1024\nfile 3072\n",
            "memory.events": "low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\n",
        }.items():
            (path / name).write_text(text)

    def kill(self, pid: int, signal: int) -> None:
        self.killed.append(pid)
        for procs in self.top.rglob("cgroup.procs"):
            procs.write_text("".join(line for line in procs.read_text().splitlines(True) if int(line) != pid))


@pytest.fixture
def v2_tree(tmp_path: Path) -> V2Tree:
    return V2Tree(tmp_path)


class FakeComfyUI(ThreadingHTTPServer):
    """Answers what a test put into `answers`: path → (status, body) or a function that takes the handler."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: dict[str, object] = {"/queue": (200, {"queue_running": [], "queue_pending": []})}
        self.received: list[tuple[str, str, object]] = []


class _Handler(BaseHTTPRequestHandler):
    server: FakeComfyUI

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null"))

    def _answer(self, body: object) -> None:
        self.server.received.append((self.command, self.path, body))
        answer = self.server.answers.get(self.path, (404, "not found"))
        if callable(answer):
            answer = answer(self)
            if answer is None:
                return
        status, content = answer
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def fake_comfyui() -> Iterator[FakeComfyUI]:
    server = FakeComfyUI()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


FAKE_MAIN = """
import argparse, http.server, json, os, signal, sys

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--base-directory")
parser.add_argument("--exit", action="store_true")
parser.add_argument("--stubborn", action="store_true")
parser.add_argument("--eat-mb", type=int)
options, rest = parser.parse_known_args()
print("arguments:", rest, flush=True)
if options.exit:
    sys.exit("no luck today")
if options.stubborn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/eat":
            self.server.held = [bytearray(b"x") * (1 << 20) for _ in range(options.eat_mb)]
        found = self.path != "/resource_gate/status" or os.path.exists(
            options.base_directory + "/custom_nodes/resource-gate/pyproject.toml")
        body = json.dumps({"queue_running": [], "queue_pending": []}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


try:
    http.server.HTTPServer(("127.0.0.1", options.port), Handler).serve_forever()
except KeyboardInterrupt:
    print("stopped in order", flush=True)
"""


@pytest.fixture
def fake_installation(tmp_path: Path) -> Path:
    """Make a folder that looks like a ComfyUI, with a `main.py` that serves what starting and stopping need."""
    folder = tmp_path / "FakeUI"
    folder.mkdir()
    (folder / "main.py").write_text(FAKE_MAIN)
    (folder / "folder_paths.py").write_text("")
    (folder / "comfyui_version.py").write_text('# generated\n__version__ = "9.8.7"\n')
    return folder


@pytest.fixture
def alive() -> Callable[[int], bool]:
    """Tell whether a process runs (a zombie does not)."""

    def answer(pid: int) -> bool:
        try:
            os.kill(pid, 0)
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (ProcessLookupError, FileNotFoundError):
            return False

    return answer
