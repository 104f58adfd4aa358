from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from resource_gate.batch.supervisor.system import (
    SIGBREAK,
    Posix,
    Windows,
    give_signals_back,
    take_signals,
    this_system,
)


class Sent:
    """Notes what is sent instead of sending it; `gone` and `denied` processes answer as the system does."""

    def __init__(self):
        self.one: list[tuple[int, int]] = []
        self.group: list[tuple[int, int]] = []
        self.families: list[int] = []
        self.fails: type[OSError] | None = None

    def kill(self, pid, number):
        self.one.append((pid, number))
        if self.fails:
            raise self.fails

    def killpg(self, pid, number):
        self.group.append((pid, number))
        if self.fails:
            raise self.fails


@pytest.fixture
def sent():
    return Sent()


@pytest.fixture
def posix(sent):
    return Posix(sent.kill, sent.killpg, sent.families.append, first=False)


@pytest.fixture
def windows(sent):
    return Windows(sent.kill, sent.families.append)


def test_what_a_terminal_sends_goes_to_the_group_and_the_rest_to_the_child_alone(posix, sent):
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1):
        posix.pass_on(7, number)
    assert sent.group == [(7, signal.SIGINT), (7, signal.SIGHUP)]
    assert sent.one == [(7, signal.SIGTERM), (7, signal.SIGUSR1)]


def test_a_child_that_has_just_ended_is_no_error(posix, sent):
    sent.fails = ProcessLookupError
    posix.pass_on(7, signal.SIGINT)
    posix.pass_on(7, signal.SIGTERM)
    posix.sweep(7)


def test_a_group_of_a_zombie_on_macos_is_no_error(posix, sent):
    sent.fails = PermissionError
    posix.sweep(7)
    posix.pass_on(7, signal.SIGINT)
    assert sent.group == [(7, 9), (7, signal.SIGINT)]


def test_a_kill_reaches_the_tree_and_the_group(posix, sent):
    posix.kill(7)
    assert sent.families == [7] and sent.group == [(7, 9)]


def test_windows_is_told_with_ctrl_break_whatever_came(windows, sent):
    for number in (signal.SIGINT, SIGBREAK):
        windows.pass_on(7, number)
    assert sent.one == [(7, 1), (7, 1)]


def test_windows_without_a_console_is_no_error_and_the_kill_still_works(windows, sent):
    sent.fails = OSError
    windows.pass_on(7, signal.SIGINT)
    windows.kill(7)
    windows.sweep(7)
    windows.reap(7)
    assert sent.families == [7]


def test_each_system_puts_the_child_into_a_group_of_its_own():
    assert this_system("win32").start_options() == {"creationflags": 0x200}
    assert this_system("linux").start_options() == this_system("darwin").start_options() == {"start_new_session": True}


def test_the_gentle_steps_come_first():
    assert [step.name for step in Posix.steps] == ["SIGINT", "SIGTERM"]
    assert [step.name for step in Windows.steps] == ["Ctrl-Break"]


def test_posix_tells_signals_from_codes(posix):
    assert posix.ending(3).text == "ended with code 3" and posix.ending(3).status == 3
    killed = posix.ending(-9)
    assert (killed.text, killed.signal, killed.code, killed.killed) == ("was ended by SIGKILL", "SIGKILL", None, True)
    assert killed.status == 137
    assert posix.ending(-signal.SIGTERM).status == 143 and not posix.ending(-signal.SIGTERM).killed
    assert posix.ending(-50).signal == "signal 50"


def test_windows_names_what_its_codes_mean_and_makes_them_fit_for_an_exit(windows):
    assert windows.ending(0).status == 0
    assert windows.ending(1).text == "ended with code 1"
    commit = windows.ending(0xC000012D)
    assert commit.text == "ended with code 0xC000012D, out of commit (STATUS_COMMITMENT_LIMIT)"
    assert commit.status == 0xC000012D - 2**32
    assert windows.ending(0xC000012D - 2**32).text == commit.text


def test_signals_are_taken_and_given_back():
    before = signal.getsignal(signal.SIGUSR1)
    came: list[int] = []
    taken = take_signals((signal.SIGUSR1,), lambda number, frame: came.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    give_signals_back(taken)
    assert came == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is before


def test_a_signal_that_is_ignored_stays_ignored():
    """As `nohup` wants it of SIGHUP."""
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        assert take_signals((signal.SIGUSR2,), lambda number, frame: None) == {}
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_orphans_are_reaped_and_our_own_child_is_left_for_popen(sent):
    ours = subprocess.Popen([sys.executable, "-c", "raise SystemExit(5)"])
    other = os.fork()
    if other == 0:
        os._exit(0)
    os.waitid(os.P_PID, ours.pid, os.WEXITED | os.WNOWAIT)
    os.waitid(os.P_PID, other, os.WEXITED | os.WNOWAIT)
    reaper = Posix(sent.kill, sent.killpg, sent.families.append, first=True)
    reaper.reap(ours.pid)
    assert ours.wait() == 5  # whichever of the two the kernel tells of first, ours keeps its code
    reaper.reap(ours.pid)
    with pytest.raises(ChildProcessError):
        os.waitpid(other, os.WNOHANG)
