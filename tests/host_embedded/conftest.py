"""An embedded host on a folder of its own, tiny clips, and a node that holds the worker until the test lets go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import pytest

from resource_gate.gate.host import Job, NodeStart, Outcome, Queued, Verdict
from resource_gate.host.embedded import EmbeddedHost
from resource_gate.host.embedded_kinds import Input, NodeContext, NodeKind, NodeResult

PATIENCE = 30.0
"""Seconds until a test gives up; none of them measures time."""

Graph = dict[str, Any]


def clip_graph(color: int = 0x336699, frames: int = 5, prefix: str = "clip", **save: Any) -> Graph:
    """The graph of the bench, tiny: EmptyImage → ImageScale → CreateVideo → SaveVideo."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 32, "height": 16, "batch_size": frames, "color": color},
        },
        "2": {
            "class_type": "ImageScale",
            "inputs": {
                "image": ["1", 0],
                "upscale_method": "bilinear",
                "width": 64,
                "height": 32,
                "crop": "disabled",
            },
        },
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["2", 0], "fps": 24.0}},
        "4": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["3", 0], "filename_prefix": prefix, "format": "mp4", "codec": "h264"} | save,
        },
    }


@dataclass
class Clip:
    """What a file holds, decoded to its end."""

    frames: int
    width: int
    height: int
    rate: float
    codec: str
    color: tuple[int, int, int]


def decode_clip(path: Path) -> Clip:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        middle = frames[0].to_ndarray(format="rgb24")[frames[0].height // 2, frames[0].width // 2]
        return Clip(
            len(frames),
            stream.width,
            stream.height,
            float(stream.average_rate or 0),
            stream.codec_context.codec.canonical_name,
            tuple(int(c) for c in middle),
        )


def wait_until(condition: Callable[[], Any]) -> Any:
    """Wait for something true, and return it."""
    give_up = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.005)
    return value


@dataclass
class Hold:
    """Behind the node `Hold`: it waits until `release`, or an interrupt."""

    entered: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    ran: int = 0

    def run(self, context: NodeContext, value: Any = None, tag: int = 0) -> NodeResult:
        self.ran += 1
        self.entered.set()
        while not self.release.is_set():
            context.wait(0.005)
        return NodeResult((value,))

    def kind(self) -> NodeKind:
        inputs = {"value": Input("*", required=False), "tag": Input("INT", required=False)}
        return NodeKind("Hold", self.run, inputs, ("*",), output_node=True)


@dataclass
class Recorder:
    """A listener that writes down what it is told; the two callables decide and act."""

    verdict: Callable[[Job], Verdict] = lambda job: Verdict(True)
    act: Callable[[NodeStart], None] = lambda node: None
    again: Callable[[Outcome], bool] = lambda outcome: False
    accepted_prompts: list[Queued] = field(default_factory=list)
    removed_ids: list[str] = field(default_factory=list)
    put_back_ids: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    began: list[str] = field(default_factory=list)
    nodes: list[tuple[str, str]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def accepted(self, prompt: Queued) -> None:
        self.accepted_prompts.append(prompt)

    def removed(self, ids: Sequence[str]) -> None:
        self.removed_ids += ids

    def changed_graph(self, job_id: str) -> None:
        return None

    def retry(self, outcome: Outcome) -> bool:
        return self.again(outcome)

    def put_back(self, job_id: str) -> None:
        self.put_back_ids.append(job_id)

    def may_start(self, job: Job) -> Verdict:
        self.asked.append(job.id)
        return self.verdict(job)

    def nothing_waits(self) -> None:
        pass

    def started(self, job: Job) -> None:
        self.began.append(job.id)

    def before_node(self, node: NodeStart) -> None:
        self.nodes.append((node.node_id, node.class_type))
        self.act(node)

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture
def clip() -> Callable[..., Graph]:
    return clip_graph


@pytest.fixture
def decoded() -> Callable[[Path], Clip]:
    return decode_clip


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    return wait_until


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def hold() -> Hold:
    return Hold()


@pytest.fixture
def host(tmp_path: Path, hold: Hold) -> Iterator[EmbeddedHost]:
    """Its worker runs; the node `Hold` is known to it."""
    host = EmbeddedHost(tmp_path)
    host.nodes["Hold"] = hold.kind()
    host.start()
    yield host
    hold.release.set()
    assert host.stop(PATIENCE)


@pytest.fixture
def run(host: EmbeddedHost) -> Callable[..., dict[str, Any]]:
    """Submit a graph and return its history entry, once it has one and nothing runs any more."""

    def run(graph: Graph, **more: Any) -> dict[str, Any]:
        item = host.submit(graph, **more)
        entry: dict[str, Any] = wait_until(lambda: host.queue.entry(item.id))
        return entry

    return run
