"""What signals mean to a batch: taken while it runs, given back after, and left alone where somebody ignores them."""

from __future__ import annotations

import os
import signal

import pytest

from resource_gate.batch.runner.stopping import Stopping, StopSignals

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def hang_up():
    """Handle SIGHUP as told; it is as before afterwards."""
    before = signal.getsignal(signal.SIGHUP)
    yield lambda handler: signal.signal(signal.SIGHUP, handler)
    signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_stops_a_batch_at_once(hang_up):
    hang_up(signal.SIG_DFL)
    stopping, told = Stopping(), []
    with StopSignals(stopping, told.append) as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        signals.heed()
    assert stopping.now.is_set() and len(told) == 1
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_under_nohup_a_closed_terminal_does_not_stop_a_batch(hang_up):
    hang_up(signal.SIG_IGN)
    stopping, told = Stopping(), []
    with StopSignals(stopping, told.append) as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        signals.heed()
    assert not stopping.finish.is_set() and told == []
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
