"""What a runner works on: a server that a test holds in its hands, jobs, a journal, a small video."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from resource_gate.batch.joblist.job import InputFile, Job, JobList
from resource_gate.batch.runner.journal import Journal
from resource_gate.batch.runner.options import RunOptions
from resource_gate.batch.runner.perform import perform
from resource_gate.batch.runner.result import JobResult
from resource_gate.batch.runner.server import Server

from .fake_server import PATIENCE, FakeServer, Outcome

GRAPH = {"1": {"class_type": "Make", "inputs": {"seed": 1}}}


def video(path: Path, frames: int = 8) -> bytes:
    """The bytes of a real small video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in range(frames):
            noise = np.random.default_rng(frame).integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


class Runs:
    """Runs jobs on a server, and keeps what is told."""

    def __init__(self, server: Server, options: RunOptions) -> None:
        self.server, self.options = server, options
        self.told: list[Mapping[str, Any]] = []
        self.stop = threading.Event()

    def __call__(self, job: Job, first_attempt: int = 1) -> JobResult:
        return perform(job, self.server, self.options, self.told.append, self.stop, first_attempt)

    def background(self, job: Job) -> Callable[[], JobResult]:
        """Run on a thread; the answer waits for it."""
        found: list[JobResult] = []
        thread = threading.Thread(target=lambda: found.append(self(job)))
        thread.start()

        def answer() -> JobResult:
            thread.join(PATIENCE)
            assert found, "it never ended"
            return found[0]

        return answer

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [event for event in self.told if event["event"] == kind]


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.stop()


@pytest.fixture
def stock() -> Iterator[FakeServer]:
    server = FakeServer(gated=False)
    yield server
    server.stop()


@pytest.fixture
def outcome() -> type[Outcome]:
    return Outcome


@pytest.fixture
def a_video(tmp_path: Path) -> bytes:
    return video(tmp_path / "a_video.mp4")


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    """With waits of a few hundredths of a second."""
    return RunOptions(
        tmp_path / "out", str(uuid.uuid4()), retry_wait=0.02, reconnect_wait=0.05, ready_budget=0.3, settle=1.0
    )


@pytest.fixture
def runs(options: RunOptions) -> Iterator[Callable[..., Runs]]:
    """Make a runner for a server: `runs(fake)`, `runs(fake, retries=0)`, `runs(fake, listen=False)`."""
    servers: list[Server] = []

    def make(fake: FakeServer, listen: bool = True, **changes: Any) -> Runs:
        servers.append(Server(fake.url, reuse_after=0.05) if listen else Server(fake.url, open_socket=None))
        return Runs(servers[-1], RunOptions(**{**vars(options), **changes}))

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def job() -> Callable[..., Job]:
    """Make a job: `job()`, `job(3)`, `job(files={"clip": path})`."""

    def make(index: int = 0, files: Mapping[str, Path] | None = None) -> Job:
        inputs = {"seed": index, **{name: str(path) for name, path in (files or {}).items()}}
        graph = {"1": {"class_type": "Make", "inputs": inputs}}
        return Job(index, f"job{index}", graph, tuple(InputFile("1", n, p) for n, p in (files or {}).items()))

    return make


@pytest.fixture
def journal(tmp_path: Path, job: Callable[..., Job]) -> Iterator[Journal]:
    """Of a batch of five jobs."""
    jobs = JobList(tuple(job(index) for index in range(5)), Path("workflow.json"), "rows.csv")
    made = Journal.create(tmp_path / "batch", jobs, {"id": str(uuid.uuid4())})
    yield made
    made.close()


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    def wait(condition: Callable[[], Any]) -> Any:
        give_up = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < give_up, "it never came"
            time.sleep(0.005)
        return value

    return wait
