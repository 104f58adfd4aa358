from __future__ import annotations

import socket
import threading
import time

import pytest

from resource_gate.batch.client import (
    BadAnswer,
    Client,
    JobLost,
    JobTimeout,
    NotReady,
    PromptRefused,
    RequestRefused,
    ServerGone,
    ServerSilent,
)

GRAPH = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64}}}
ERROR = {
    "node_id": "7",
    "node_type": "KSampler",
    "exception_type": "torch.OutOfMemoryError",
    "exception_message": "Allocation failed\n",
}


@pytest.fixture
def client(fake_comfyui):
    return Client(fake_comfyui.url)


def unused_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def history(status: str, messages: list) -> dict:
    return {"outputs": {"9": {"images": []}}, "status": {"status_str": status, "messages": messages}}


def test_a_prompt_is_sent_as_comfyui_takes_it(client, fake_comfyui):
    fake_comfyui.answers["/prompt"] = (200, {"prompt_id": "a-b", "number": 3, "node_errors": {}})
    assert client.submit(GRAPH, "a-b", "browser") == "a-b"
    assert fake_comfyui.received == [
        ("POST", "/prompt", {"prompt": GRAPH, "prompt_id": "a-b", "client_id": "browser"}),
    ]


def test_without_an_id_the_server_makes_one(client, fake_comfyui):
    fake_comfyui.answers["/prompt"] = (200, {"prompt_id": "made"})
    assert client.submit(GRAPH) == "made"
    assert fake_comfyui.received[0][2] == {"prompt": GRAPH}


def test_a_refused_prompt_brings_the_details(client, fake_comfyui):
    details = {"error": {"type": "prompt_no_outputs"}, "node_errors": {"1": {"errors": []}}}
    fake_comfyui.answers["/prompt"] = (400, details)
    with pytest.raises(PromptRefused) as refused:
        client.submit(GRAPH)
    assert refused.value.details == details


def test_a_server_error_is_no_refused_prompt(client, fake_comfyui):
    fake_comfyui.answers["/prompt"] = (500, b"500 Internal Server Error")
    with pytest.raises(RequestRefused) as refused:
        client.submit(GRAPH)
    assert not isinstance(refused.value, PromptRefused)
    assert (refused.value.status, refused.value.body) == (500, "500 Internal Server Error")


def test_nobody_listening_means_gone():
    with pytest.raises(ServerGone):
        Client(unused_url()).queue()


def test_dying_in_the_middle_of_an_answer_means_gone(client, fake_comfyui):
    def die(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{")

    fake_comfyui.answers["/queue"] = die
    with pytest.raises(ServerGone):
        client.queue()


def test_closing_without_an_answer_means_gone(client, fake_comfyui):
    fake_comfyui.answers["/queue"] = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ServerGone):
        client.queue()


def test_taking_the_call_and_saying_nothing_means_silent(fake_comfyui):
    let_go = threading.Event()
    fake_comfyui.answers["/queue"] = lambda handler: let_go.wait(30) and None
    try:
        with pytest.raises(ServerSilent):
            Client(fake_comfyui.url, timeout=0.2).queue()
    finally:
        let_go.set()


@pytest.mark.parametrize("body", [b"<html>", {"queue_running": 3}, {"queue_pending": []}])
def test_an_answer_of_something_else_is_told(client, fake_comfyui, body):
    fake_comfyui.answers["/queue"] = (200, body)
    with pytest.raises(BadAnswer):
        client.queue()


def test_the_queue_is_told_in_the_order_it_will_run(client, fake_comfyui):
    fake_comfyui.answers["/queue"] = (
        200,
        {"queue_running": [[1, "a", {}]], "queue_pending": [[7, "d"], [-2, "b"], [3, "c"]]},
    )
    queue = client.queue()
    assert (queue.running, queue.pending) == (("a",), ("b", "c", "d"))
    assert queue.ids == {"a", "b", "c", "d"}


def test_a_stock_server_has_no_status(client):
    assert client.status() is None


def test_the_status_comes_as_it_is(client, fake_comfyui):
    fake_comfyui.answers["/resource_gate/status"] = (200, {"level": "warning"})
    assert client.status() == {"level": "warning"}


def test_a_broken_status_is_not_taken_for_a_stock_server(client, fake_comfyui):
    fake_comfyui.answers["/resource_gate/status"] = (500, {"error": "x"})
    with pytest.raises(RequestRefused):
        client.status()


def test_history_tells_success(client, fake_comfyui):
    fake_comfyui.answers["/history/p"] = (200, {"p": history("success", [["execution_success", {}]])})
    end = client.history("p")
    assert (end.ok, end.reason, end.outputs) == (True, "", {"9": {"images": []}})


def test_history_tells_which_node_failed_and_how(client, fake_comfyui):
    fake_comfyui.answers["/history/p"] = (200, {"p": history("error", [["execution_error", ERROR]])})
    end = client.history("p")
    assert (end.ok, end.reason) == (False, "7 KSampler: torch.OutOfMemoryError: Allocation failed")


def test_history_tells_an_interrupt(client, fake_comfyui):
    fake_comfyui.answers["/history/p"] = (200, {"p": history("error", [["execution_interrupted", {}]])})
    assert client.history("p").reason == "interrupted"


def test_an_unknown_prompt_has_no_history(client, fake_comfyui):
    fake_comfyui.answers["/history/p"] = (200, {})
    assert client.history("p") is None


def test_waiting_ends_when_the_history_has_it(client, fake_comfyui):
    asked = []

    def answer(handler):
        asked.append(1)
        return (200, {"p": history("success", [])} if len(asked) > 2 else {})

    fake_comfyui.answers["/queue"] = (200, {"queue_running": [[0, "p"]], "queue_pending": []})
    fake_comfyui.answers["/history/p"] = answer
    assert client.wait_for_end("p").ok
    assert len(asked) == 3


def test_waiting_for_a_prompt_that_nobody_knows_is_told_as_lost(client, fake_comfyui):
    fake_comfyui.answers["/history/p"] = (200, {})
    with pytest.raises(JobLost):
        client.wait_for_end("p")


def test_waiting_has_an_end(client, fake_comfyui):
    fake_comfyui.answers["/queue"] = (200, {"queue_running": [[0, "p"]], "queue_pending": []})
    fake_comfyui.answers["/history/p"] = (200, {})
    with pytest.raises(JobTimeout):
        client.wait_for_end("p", timeout=0)


def test_a_server_that_comes_up_late_is_waited_for(client, fake_comfyui):
    asked = []

    def answer(handler):
        asked.append(1)
        ready = (200, {"queue_running": [], "queue_pending": []})
        return ready if len(asked) > 2 else (503, "starting")

    fake_comfyui.answers["/queue"] = answer
    client.wait_ready(timeout=30)
    assert len(asked) == 3


def test_a_process_that_has_ended_is_not_waited_for():
    with pytest.raises(NotReady, match="ended before"):
        Client(unused_url()).wait_ready(timeout=600, alive=lambda: False)


def test_waiting_for_readiness_has_an_end():
    with pytest.raises(NotReady, match="was not ready after 0 s"):
        Client(unused_url()).wait_ready(timeout=0)


def test_a_proxy_of_the_environment_does_not_see_this_machines_traffic(fake_comfyui, monkeypatch):
    monkeypatch.setenv("http_proxy", unused_url())
    monkeypatch.delenv("no_proxy", raising=False)
    assert Client(fake_comfyui.url).queue().ids == frozenset()


def test_many_threads_may_share_a_client(client):
    failed: list[BaseException] = []

    def ask():
        try:
            for _ in range(20):
                client.queue()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    give_up = time.monotonic() + 60
    for thread in threads:
        thread.join(max(0.0, give_up - time.monotonic()))
    assert not failed and not any(thread.is_alive() for thread in threads)
