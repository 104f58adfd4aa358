from __future__ import annotations

import threading

from resource_gate.api.watch import LEASE, MAX_WATCHERS, Watchers


def test_a_lease_lasts_thirty_seconds_and_can_be_renewed(clock):
    watchers = Watchers(clock=clock)
    watchers.renew("a")
    clock.now += 15
    watchers.renew("a")
    clock.now += 29.9
    assert watchers.current() == ["a"]
    clock.now += 0.1
    assert LEASE == 30 and watchers.current() == []


def test_each_client_has_its_own_lease(clock):
    watchers = Watchers(clock=clock)
    watchers.renew("a")
    clock.now += 20
    watchers.renew("b")
    clock.now += 20
    assert watchers.current() == ["b"]


def test_the_first_to_come_and_the_last_to_go_are_told_once(clock):
    told = []
    watchers = Watchers(told.append, clock)
    assert watchers.current() == [] and told == []
    watchers.renew("a")
    watchers.renew("b")
    watchers.renew("a")
    assert told == [True]
    clock.now += LEASE
    watchers.current()
    watchers.current()
    assert told == [True, False]
    watchers.renew("c")
    assert told == [True, False, True]


def test_invented_clients_do_not_fill_the_memory(clock):
    watchers = Watchers(clock=clock)
    for number in range(3 * MAX_WATCHERS):
        watchers.renew(f"client {number}")
    assert len(watchers.current()) == MAX_WATCHERS
    clock.now += 10
    watchers.renew("client 0")
    clock.now += LEASE - 10
    assert watchers.current() == ["client 0"]
    watchers.renew("new")
    assert watchers.current() == ["client 0", "new"]


def test_a_listener_may_ask_who_watches(clock):
    heard = []
    watchers = Watchers(lambda watched: heard.append(watchers.current()), clock)
    thread = threading.Thread(target=watchers.renew, args=("a",), daemon=True)
    thread.start()
    thread.join(10)
    assert heard == [["a"]]
