"""A batch on a real terminal: what else is written there does not tear the drawing apart."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="there are pseudo-terminals on Unix only")

SHOW = """
import logging, sys, time
from resource_gate.batch.batch_command import say
from resource_gate.batch.progress.view import StderrHandler, make_view
logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", handlers=[StderrHandler()])
view = make_view(sys.stdout)
view.on({"event": "batch_started", "time": time.time(), "total": 2, "servers": ["a"]})
view.on({"event": "job_started", "time": time.time(), "index": 0, "name": "clip", "server": "a"})
time.sleep(0.6)
say("said meanwhile")
time.sleep(0.3)
logging.getLogger("x").warning("logged meanwhile")
time.sleep(0.3)
view.close()
say("said afterwards")
"""
ERASED = b"\x1b[2K"
"""Erases a line: what rich sends for each line of its drawing before something is written in its place."""


def shown(error: int | None) -> bytes:
    """Everything that comes to the terminal."""
    near, far = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    with subprocess.Popen(
        [sys.executable, "-c", SHOW], stdin=far, stdout=far, stderr=far if error is None else error, env=environment
    ) as process:
        os.close(far)
        read = b""
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                piece = os.read(near, 1 << 16)
            except OSError:  # Linux: the other side is closed
                break
            if not piece:
                break
            read += piece
        assert process.wait(30) == 0
    os.close(near)
    return read


def test_lines_and_warnings_are_written_where_the_drawing_was_erased() -> None:
    read = shown(None)
    assert b"0 of 2" in read
    for text in (b"resource-gate: said meanwhile", b"WARNING logged meanwhile"):
        before, found, after = read.partition(text)
        assert found and before.endswith(ERASED), before[-80:]
        assert b"0 of 2" in after, "the drawing is not there again"
    assert read.rstrip().endswith(b"resource-gate: said afterwards")


def test_what_goes_to_a_file_goes_there_also_while_a_terminal_shows_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "errors.txt"
    with path.open("wb") as file:
        read = shown(file.fileno())
    assert b"meanwhile" not in read
    assert path.read_text().splitlines() == [
        "resource-gate: said meanwhile",
        "WARNING logged meanwhile",
        "resource-gate: said afterwards",
    ]
