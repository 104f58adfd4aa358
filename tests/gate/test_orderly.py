from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no signals of this kind here")

SETUP = (
    "import os, signal, sys; from resource_gate.gate.orderly import at_orderly_end;"
    "at_orderly_end(lambda: os.write(1, b'called '));"
)


def run(code):
    done = subprocess.run([sys.executable, "-c", SETUP + code], capture_output=True, timeout=30)
    return done.returncode, done.stdout


def test_it_is_called_at_the_end_of_the_interpreter():
    assert run("print('end', end=' ', flush=True)") == (0, b"end called ")


def test_it_is_called_at_a_sigterm_which_then_ends_the_process_as_ever():
    assert run("os.kill(os.getpid(), signal.SIGTERM); signal.pause()") == (-signal.SIGTERM, b"called ")


def test_a_kill_calls_nothing():
    assert run("os.kill(os.getpid(), signal.SIGKILL)") == (-signal.SIGKILL, b"")


def test_a_handler_that_somebody_else_set_is_left_alone():
    code = (
        "import os, signal; signal.signal(signal.SIGTERM, lambda *_: os._exit(7));"
        "from resource_gate.gate.orderly import at_orderly_end; at_orderly_end(lambda: None);"
        "os.kill(os.getpid(), signal.SIGTERM); signal.pause()"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 7
