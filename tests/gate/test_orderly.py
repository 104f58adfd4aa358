from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="no signals of this kind here")
windows = pytest.mark.skipif(os.name != "nt", reason="Ctrl-Break is of Windows")

SETUP = (
    "import os, signal, sys; from resource_gate.gate.orderly import at_orderly_end;"
    "at_orderly_end(lambda: os.write(1, b'called '));"
)


def run(code):
    done = subprocess.run([sys.executable, "-c", SETUP + code], capture_output=True, timeout=30)
    return done.returncode, done.stdout


def test_it_is_called_at_the_end_of_the_interpreter():
    assert run("print('end', end=' ', flush=True)") == (0, b"end called ")


@posix
def test_it_is_called_at_a_sigterm_which_then_ends_the_process_as_ever():
    assert run("os.kill(os.getpid(), signal.SIGTERM); signal.pause()") == (-signal.SIGTERM, b"called ")


@windows
def test_it_is_called_at_a_ctrl_break_which_then_ends_the_process_as_ever():
    code = "print('up', flush=True); import time; time.sleep(60)"
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    command = [sys.executable, "-c", SETUP + code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, creationflags=flags) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"up"
        process.send_signal(signal.CTRL_BREAK_EVENT)
        assert process.stdout.read() == b"called "
    assert process.returncode == 0xC000013A


@posix
def test_a_kill_calls_nothing():
    assert run("os.kill(os.getpid(), signal.SIGKILL)") == (-signal.SIGKILL, b"")


@posix
def test_a_handler_that_somebody_else_set_is_left_alone():
    code = (
        "import os, signal; signal.signal(signal.SIGTERM, lambda *_: os._exit(7));"
        "from resource_gate.gate.orderly import at_orderly_end; at_orderly_end(lambda: None);"
        "os.kill(os.getpid(), signal.SIGTERM); signal.pause()"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 7


@pytest.fixture
def as_process_1():
    """What to put before a command so that it is process 1, as a container's command is."""
    unshare = shutil.which("unshare")
    before = [unshare or "", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if unshare is None or subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made on this machine")
    return before


@posix
def test_as_process_1_which_the_kernel_spares_a_sigterm_it_ends_all_the_same(as_process_1):
    """Else it would go on with its journal closed, until `docker stop` loses its patience."""
    code = SETUP + "os.kill(os.getpid(), signal.SIGTERM); os.write(1, b'goes on '); os._exit(0)"
    done = subprocess.run([*as_process_1, sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, b"called ")
