from __future__ import annotations

import threading

import pytest

from resource_gate.monitor.aside import Aside, HungError

LONG = 10.0  # seconds a test waits for what must come at once; only a fault makes it that long


class Reader:
    """Answers when the test lets it."""

    def __init__(self) -> None:
        self.let = threading.Semaphore(0)
        self.called = threading.Semaphore(0)
        self.calls = 0
        self.error: Exception | None = None
        self.thread: threading.Thread | None = None

    def __call__(self) -> int:
        self.calls += 1
        self.thread = threading.current_thread()
        self.called.release()
        assert self.let.acquire(timeout=LONG)
        if self.error is not None:
            raise self.error
        return self.calls


def made(reader, clock, cpu=lambda: 0.0, **more):
    return Aside("nvml", reader, clock=clock, cpu=cpu, **more)


@pytest.fixture
def reader():
    reader = Reader()
    yield reader
    reader.let.release(100)


def answered(aside):
    aside.settle()
    return aside


def test_it_reads_on_a_daemon_thread_and_the_caller_takes_the_last_value(reader, clock):
    aside = made(reader, clock, wait=LONG)
    assert aside.take() is None
    assert aside.age is None
    reader.let.release()
    aside.ask()
    assert answered(aside).take() == 1
    assert reader.thread is not threading.current_thread()
    assert reader.thread.daemon
    clock.pass_(3)
    assert aside.age == 3


def test_while_a_call_is_under_way_no_other_is_made_and_the_old_value_stands(reader, clock):
    aside = made(reader, clock, wait=LONG)
    reader.let.release()
    aside.ask()
    answered(aside)
    reader.called.acquire()
    aside.ask()
    reader.called.acquire()
    for _ in range(5):
        aside.ask()
        assert aside.take() == 1
    assert reader.calls == 2


def test_a_call_that_does_not_come_back_counts_as_hung_and_its_value_is_dropped(reader, clock):
    aside = made(reader, clock, wait=LONG, patience=10)
    reader.let.release()
    aside.ask()
    answered(aside)
    aside.ask()
    clock.pass_(9.9)
    assert aside.take() == 1
    clock.pass_(0.2)
    for _ in range(3):
        with pytest.raises(HungError, match="no answer for 10 s"):
            aside.take()


def test_a_hung_call_that_comes_back_after_all_is_taken(reader, clock):
    aside = made(reader, clock, wait=0.001, patience=10)
    aside.ask()
    clock.pass_(11)
    with pytest.raises(HungError):
        aside.take()
    reader.let.release()
    while aside.age is None:
        threading.Event().wait(0.001)
    assert aside.take() == 1


def test_a_hang_starts_no_second_thread(reader, clock):
    before = threading.active_count()
    aside = made(reader, clock, patience=10)
    for _ in range(20):
        aside.ask()
        clock.pass_(60)
    assert threading.active_count() == before + 1


def test_settling_waits_only_for_a_reader_that_was_prompt(clock):
    let, settled = threading.Event(), threading.Event()

    def slow() -> int:
        clock.pass_(100)
        assert let.wait(LONG)
        return 1

    aside = made(slow, clock, wait=3 * LONG, patience=1000)
    let.set()
    aside.ask()
    aside.settle()
    let.clear()
    aside.ask()
    threading.Thread(target=lambda: (aside.settle(), settled.set()), daemon=True).start()
    assert settled.wait(LONG)
    let.set()


def test_an_error_is_raised_to_who_takes_once(reader, clock):
    aside = made(reader, clock, wait=LONG)
    reader.error = RuntimeError("lost")
    reader.let.release()
    aside.ask()
    aside.settle()
    with pytest.raises(RuntimeError, match="lost"):
        aside.take()
    assert aside.take() is None
    reader.error = None
    reader.let.release()
    aside.ask()
    assert answered(aside).take() == 2


def test_it_is_asked_no_more_often_than_said(reader, clock):
    reader.let.release(10)
    aside = made(reader, clock, every=30, wait=LONG)
    for _ in range(7):
        aside.ask()
        aside.settle()
        clock.pass_(10)
    assert reader.calls == 3


def test_a_dear_reader_is_asked_less_often(reader, clock):
    reader.let.release(10)
    spent = iter([0.0, 0.3] * 10)
    aside = made(reader, clock, cpu=lambda: next(spent), share=0.001, wait=LONG)
    calls = []
    for _ in range(7):
        aside.ask()
        aside.settle()
        calls.append(reader.calls)
        clock.pass_(60)
    assert calls == [1, 1, 1, 1, 1, 2, 2]  # 0.3 s at a thousandth of a core: every 300 s


def test_what_told_of_nothing_is_asked_less_often(clock):
    told = iter([(), (), ("a card",), ("a card",)])
    calls = []

    def read():
        calls.append(clock())
        return next(told)

    aside = made(read, clock, empty_every=60, wait=LONG)
    for _ in range(15):
        aside.ask()
        aside.settle()
        clock.pass_(10)
        if len(calls) == 4:
            break
    assert [c - calls[0] for c in calls] == [0, 60, 120, 130]


def test_it_can_be_stopped_and_used_again(reader, clock):
    reader.let.release(10)
    aside = made(reader, clock, wait=LONG)
    aside.ask()
    aside.settle()
    first = reader.thread
    aside.stop()
    first.join(LONG)
    assert not first.is_alive()
    aside.ask()
    assert answered(aside).take() == 2


def test_a_hung_reader_does_not_keep_stop_waiting(reader, clock):
    aside = made(reader, clock)
    aside.ask()
    reader.called.acquire()
    aside.stop()
    reader.let.release()
    reader.thread.join(LONG)
    assert not reader.thread.is_alive()
