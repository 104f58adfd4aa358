from __future__ import annotations

import logging

import pytest

from resource_gate.monitor.guard import Guarded


class Reader:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.value: int | None = 5
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.value


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "resource_gate.monitor.guard")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_reader_that_works_is_passed_through(clock, lines):
    guard = Guarded("cpu", Reader(), clock=clock)
    assert guard.read() == 5
    assert guard.problem is None
    assert lines() == []


def test_a_reader_that_fails_is_dropped_with_its_reason_and_one_line(clock, lines):
    reader = Reader()
    reader.error = OSError(5, "Input/output error")
    guard = Guarded("cpu", reader, clock=clock)
    assert [guard.read() for _ in range(10)] == [None] * 10
    assert guard.problem == "OSError: [Errno 5] Input/output error"
    assert guard.dropped
    assert reader.calls == 1
    assert len(lines()) == 1
    assert "'cpu'" in lines()[0]


def test_it_is_tried_again_after_a_minute(clock, lines):
    reader = Reader()
    reader.error = ValueError()
    guard = Guarded("cpu", reader, clock=clock)
    guard.read()
    clock.pass_(61)
    reader.error = None
    assert guard.read() == 5
    assert guard.problem is None
    assert "works again" in lines()[-1]


def test_failing_again_for_the_same_reason_is_not_told_again(clock, lines):
    reader = Reader()
    reader.error = ValueError("bad")
    guard = Guarded("cpu", reader, clock=clock)
    for _ in range(5):
        guard.read()
        clock.pass_(61)
    assert reader.calls == 5
    assert len(lines()) == 1
    reader.error = ValueError("worse")
    guard.read()
    assert len(lines()) == 2


def test_a_reader_that_has_nothing_to_tell_yet_is_not_called_well_again(clock, lines):
    reader = Reader()
    reader.error = ValueError("bad")
    guard = Guarded("cpu", reader, clock=clock)
    guard.read()
    clock.pass_(61)
    reader.error, reader.value = None, None
    assert guard.read() is None
    assert guard.problem == "ValueError: bad"
    assert len(lines()) == 1
