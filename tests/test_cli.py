"""The command line itself: what is typed wrong is told by its name, at once, and never by a trace."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from resource_gate.cli import main

WORKER = ("worker", "--scheduler", "tcp://127.0.0.1:9")
BATCH = ("batch", "resume", "nowhere")


@pytest.mark.parametrize("address", ["localhost:8188", "127.0.0.1:8188", "comfy", "http://", "ftp://x", "http://[::1"])
@pytest.mark.parametrize(
    "command", [("status",), ("free",), ("history",), ("doctor",), BATCH, WORKER], ids=lambda words: words[0]
)
def test_an_address_that_is_none_is_told_with_one_that_is(command, address, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--server", address])
    told = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2
    assert "argument --server" in told and repr(address) in told and "http://127.0.0.1:8188" in told


def test_so_is_one_of_the_environment(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RESOURCE_GATE_URL", "localhost:8188")
    with pytest.raises(SystemExit) as ended:
        main(["status"])
    assert ended.value.code == 2 and "'localhost:8188'" in capsys.readouterr().err
    (tmp_path / "a.mp4").touch()
    (tmp_path / "w.json").write_text('{"1": {"class_type": "SaveVideo", "inputs": {"video": ""}}}')
    run = ["batch", "run", str(tmp_path / "w.json"), "--each", str(tmp_path / "*.mp4"), "--out", str(tmp_path / "out")]
    assert main(run) == 2 and "'localhost:8188'" in capsys.readouterr().err


def test_who_forgot_to_start_the_server_is_told_at_once_that_it_is_waited_for(capsys, tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "w.json").write_text('{"1": {"class_type": "SaveVideo", "inputs": {"video": ""}}}')
    run = ["batch", "run", str(tmp_path / "w.json"), "--each", str(tmp_path / "*.mp4"), "--out", str(tmp_path / "out")]
    assert main([*run, "--server", "http://127.0.0.1:9", "--reconnect", "2", "--reconnect-wait", "0.5"]) == 2
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "resource-gate: http://127.0.0.1:9 does not answer yet; it is waited for, 1 s at most"
    assert "was not ready" in last


def test_so_is_the_address_of_a_server_to_be_kept_running(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", "--url", "localhost:8188", "--", sys.executable, "-c", "pass"])
    assert ended.value.code == 2 and "argument --url" in capsys.readouterr().err


@pytest.mark.parametrize("every", ["-1", "nan", "inf", "soon"])
def test_no_status_is_watched_at_times_that_are_none(every, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["status", f"--watch={every}", "--server", "http://127.0.0.1:9"])
    assert ended.value.code == 2 and "argument --watch" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows tells of a closed pipe in another way")
def test_who_reads_only_the_first_line_gets_no_trace():
    command = [sys.executable, "-u", "-m", "resource_gate.cli", "doctor", "--server", "http://127.0.0.1:9"]
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 141 and "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
