from __future__ import annotations

import logging
import threading

from resource_gate.api.event_thread import WAITING, EventThread


def test_news_are_sent_in_their_order_on_another_thread():
    sent = []
    thread = EventThread(lambda news: sent.append((news, threading.current_thread())))
    thread.start()
    for n in range(20):
        thread.put(n)
    thread.stop()
    assert [news for news, _ in sent] == list(range(20))
    assert threading.current_thread() not in {where for _, where in sent}


def test_one_that_cannot_be_sent_is_logged_once_and_the_next_is_sent(caplog):
    sent = []

    def send(news):
        if news < 3:
            raise RuntimeError("gone")
        sent.append(news)

    thread = EventThread(send)
    thread.start()
    with caplog.at_level(logging.ERROR):
        for n in range(5):
            thread.put(n)
        thread.stop()
    assert sent == [3, 4]
    assert len(caplog.records) == 1


def test_who_has_news_never_waits():
    sent = []
    thread = EventThread(sent.append)
    for n in range(WAITING + 10):
        thread.put(n)
    assert sent == []
