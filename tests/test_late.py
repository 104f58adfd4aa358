from __future__ import annotations

import threading
import time

import pytest

from resource_gate.late import late


class Thing:
    def __init__(self):
        self.size = 3

    def twice(self):
        return 2 * self.size


@pytest.fixture
def made():
    return []


@pytest.fixture
def thing(made):
    def make():
        time.sleep(0.05)
        made.append(Thing())
        return made[-1]

    return late(make)


def test_nothing_is_made_before_it_is_used(thing, made):
    assert not made


def test_it_answers_as_what_is_made_and_is_made_once(thing, made):
    assert (thing.twice(), thing.size, len(made)) == (6, 3, 1)


def test_what_is_set_is_set_on_what_was_made(thing, made):
    thing.size = 5
    assert (made[0].size, thing.twice()) == (5, 10)


def test_threads_that_come_at_once_get_the_same_one(thing, made):
    threads = [threading.Thread(target=lambda: thing.twice()) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_an_attribute_that_it_does_not_have_is_told_as_always(thing):
    with pytest.raises(AttributeError, match="'Thing' object has no attribute 'weight'"):
        _ = thing.weight


def test_what_could_not_be_made_is_tried_again_by_the_next_who_looks(made):
    def make():
        made.append(0)
        if len(made) == 1:
            raise OSError("not yet")
        return Thing()

    thing = late(make)
    with pytest.raises(OSError, match="not yet"):
        thing.twice()
    assert thing.twice() == 6
