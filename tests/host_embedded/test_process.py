"""As a process of its own: started, asked to stop, killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from resource_gate.batch.client import Client
from resource_gate.host.embedded import EmbeddedHost

PATIENCE = 30.0


@pytest.fixture
def serve(tmp_path):
    """Start the server on a folder; return its process and a client of it."""
    started = []

    def serve(*options):
        command = [sys.executable, "-m", "resource_gate.host.embedded", "--port", "0", "--base-directory", tmp_path]
        process = subprocess.Popen([*map(str, command), *options], stdout=subprocess.PIPE, text=True)
        started.append(process)
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line
        return process, Client(found[0])

    yield serve
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_in_the_middle_of_a_clip(serve, clip, tmp_path, until, number):
    process, client = serve("--no-gate")
    client.submit(clip(frames=4000))
    until(lambda: client.queue().running)
    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    assert list((tmp_path / "output").iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_kill_leaves_no_half_file_under_the_final_name_and_the_next_start_sweeps_up(serve, clip, tmp_path, until):
    process, client = serve("--no-gate")
    client.submit(clip(frames=4000))
    until(lambda: list((tmp_path / "output").glob(".*.part")))
    process.kill()
    process.wait(PATIENCE)
    left = [p.name for p in (tmp_path / "output").iterdir()]
    assert len(left) == 1
    assert re.fullmatch(r"\.clip_00001_\.mp4\.\d+\.part", left[0])
    EmbeddedHost(tmp_path)
    assert list((tmp_path / "output").iterdir()) == []


def test_parts_of_a_process_that_lives_and_files_of_others_are_left_alone(tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    names = ["clip.mp4", ".hidden.part", "clip.part", f".clip.mp4.{os.getppid()}.part"]
    for name in names:
        (output / name).write_text("x")
    EmbeddedHost(tmp_path)
    assert sorted(p.name for p in output.iterdir()) == sorted(names)


def test_without_the_gate_nothing_of_it_is_there(serve, clip):
    _, client = serve("--no-gate")
    assert client.status() is None
    assert "ResourceGate" not in client.call("GET", "/object_info")
    assert client.wait_for_end(client.submit(clip())).ok


def test_with_the_gate_the_same_clip_runs_and_its_nodes_are_known(serve, clip):
    _, client = serve()
    status = client.status()
    assert (status["host"]["name"], status["worker_alive"], status["degraded"]) == ("embedded", True, {})
    assert "ResourceGate" in client.call("GET", "/object_info")
    assert client.wait_for_end(client.submit(clip())).ok


def test_its_modules_load_neither_comfyui_nor_torch():
    code = (
        "import sys, resource_gate.host.embedded_main\n"
        "print([m for m in ('torch', 'comfy', 'execution', 'server', 'folder_paths') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_port_that_is_taken_is_said_in_one_line(serve, tmp_path):
    _, client = serve("--no-gate")
    port = client.url.rpartition(":")[2]
    command = [sys.executable, "-m", "resource_gate.host.embedded", "--no-gate", "--port", port, "--base-directory"]
    second = subprocess.run([*command, str(tmp_path / "b")], capture_output=True, text=True, timeout=PATIENCE)
    assert second.returncode == 1
    assert "cannot serve" in second.stderr
    assert "Traceback" not in second.stderr
