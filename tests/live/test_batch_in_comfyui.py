"""`resource-gate batch run` on a real ComfyUI: killed twice, cut off three times; and on a stock one."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from resource_gate.batch.client import Client
from resource_gate.batch.local.base_directory import make_base_directory
from resource_gate.batch.local.find_comfyui import ComfyUI
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec, free_port, server_command

pytestmark = pytest.mark.live

CLIPS = 20
SIZE = 64, 48
SCALED = 96, 72
PATIENCE = 240.0
"""Seconds until a batch that hangs is given up; it takes a fifth of that."""

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "LoadVideo", "inputs": {"file": "a.mp4"}},
    "2": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
    "3": {
        "class_type": "ImageScale",
        "inputs": {
            "image": ["2", 0],
            "upscale_method": "bilinear",
            "width": SCALED[0],
            "height": SCALED[1],
            "crop": "disabled",
        },
    },
    "4": {"class_type": "CreateVideo", "inputs": {"images": ["3", 0], "fps": 24.0}},
    "5": {
        "class_type": "SaveVideo",
        # Older versions name the codec `codec`, newer ones as a choice of the format.
        "inputs": {"video": ["4", 0], "filename_prefix": "video/clip", "format": "mp4"},
    },
}


class Proxy:
    """Passes TCP connections on to a port of this machine, until they are cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, as soon as there is one: what is read of a batch is behind what it does."""
        give_up = time.monotonic() + PATIENCE
        while not (cut := list(self._open)):
            assert time.monotonic() < give_up, "there never was a connection to cut"
            time.sleep(0.005)
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._to), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for source, target in ((near, far), (far, near)):
                self._open.add(source)
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.discard(source)
        source.close()


class Batch:
    """`resource-gate batch run` as a process of its own; its events as they come."""

    def __init__(self, folder: Path, clips: Path, url: str) -> None:
        graph = copy.deepcopy(WORKFLOW)
        known = Client(url).call("GET", "/object_info/SaveVideo")["SaveVideo"]["input"]["required"]
        graph["5"]["inputs"]["codec" if "codec" in known else "format.codec"] = "h264"
        workflow = folder / "workflow.json"
        workflow.write_text(json.dumps(graph))
        self.out = folder / "done"
        self.errors = folder / "batch.log"
        command = [sys.executable, "-m", "resource_gate.cli", "batch", "run", str(workflow), "--json"]
        command += ["--each", str(clips / "*.mp4"), "--set", "LoadVideo.file={file}", "--out", str(self.out)]
        command += ["--server", url, "--retry-wait", "1", "--reconnect-wait", "1", "--ready-budget", "120"]
        with self.errors.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self._watchdog = threading.Timer(PATIENCE, self.process.kill)
        self._watchdog.start()

    def events(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield json.loads(line)
        self._watchdog.cancel()


def make_clips(folder: Path, number: int) -> dict[str, int]:
    """Make real videos of different lengths; return name → frames."""
    folder.mkdir()
    made = {}
    for index in range(number):
        name, frames = f"clip{index:02}", 12 + index % 7
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=24)
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            for frame in range(frames):
                picture = np.full((SIZE[1], SIZE[0], 3), (index * 12, frame * 10, 128), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        made[name] = frames
    return made


def frames_of(path: Path) -> tuple[int, tuple[int, int]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sum(1 for _ in container.decode(stream)), (stream.width, stream.height)


@pytest.fixture
def supervised(installation: ComfyUI, tmp_path: Path) -> Iterator[Callable[[], tuple[psutil.Process, Client, int]]]:
    """Start ComfyUI under `resource-gate run`."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[psutil.Process, Client, int]:
        base, port = make_base_directory(tmp_path / "comfyui", extension=True), free_port()
        command = [sys.executable, "-m", "resource_gate.cli", "run", "--"]
        with (base / "supervisor.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *server_command(ServerSpec(installation), base, port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=base,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        started.append(process)
        client = Client(f"http://127.0.0.1:{port}")
        client.wait_ready(120, lambda: process.poll() is None)
        return psutil.Process(process.pid), client, port

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_a_folder_of_clips_is_done_through_two_kills_and_three_cuts(
    supervised: Callable[[], tuple[psutil.Process, Client, int]], tmp_path: Path
) -> None:
    clips = make_clips(tmp_path / "clips", CLIPS)
    supervisor, client, port = supervised()
    proxy = Proxy(port)
    batch = Batch(tmp_path, tmp_path / "clips", proxy.url)
    left = [(3, "kill"), (6, "cut"), (9, "cut"), (12, "kill"), (16, "cut")]
    seen, broken = [], []
    for event in batch.events():
        seen.append(event)
        if left and event["event"] == "progress" and event["index"] >= left[0][0]:
            broken.append(event["index"])
            if left.pop(0)[1] == "cut":
                proxy.cut()
            else:
                for child in supervisor.children():
                    child.kill()
    told = batch.errors.read_text()
    assert batch.process.wait(30) == 0, told
    assert not left
    heard = max(event["index"] for event in seen if event["event"] == "progress")
    assert heard > broken[-1], "the last break left it deaf"
    assert {path.stem: frames_of(path) for path in batch.out.glob("*.mp4")} == {
        name: (frames, SCALED) for name, frames in clips.items()
    }
    assert len([path for path in batch.out.iterdir() if not path.name.startswith(".")]) == CLIPS
    ended = Counter(event["name"] for event in seen if event["event"] == "job_ended")
    assert ended == dict.fromkeys(clips, 1)
    done = Counter(
        row["id"] for row in client.call("GET", "/resource_gate/batch?limit=200")["jobs"] if row["state"] == "done"
    )
    assert len(done) == CLIPS and set(done.values()) == {1}
    assert [event["state"] for event in seen if event["event"] == "server"].count("back") >= 2
    proxy.close()


def test_a_stock_server_does_the_same_and_what_is_missing_is_said_once(
    start_comfyui: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    clips = make_clips(tmp_path / "clips", 3)
    server = start_comfyui(extension=False)
    batch = Batch(tmp_path, tmp_path / "clips", server.url)
    seen = list(batch.events())
    assert batch.process.wait(30) == 0, batch.errors.read_text()
    assert {path.stem: frames_of(path) for path in batch.out.glob("*.mp4")} == {
        name: (frames, SCALED) for name, frames in clips.items()
    }
    notes = [event["text"] for event in seen if event["event"] == "note"]
    assert len([note for note in notes if "without Resource Gate" in note]) == 1
    assert not [note for note in notes if "silent" in note]
    assert any(event["event"] == "memory" and event["limit"] > 0 for event in seen)
