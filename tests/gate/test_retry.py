"""Which errors are tried again, how often, after how long, and what is freed before."""

from __future__ import annotations

import pytest

from resource_gate.gate.gate import Gate
from resource_gate.gate.host import Job, NodeStart, Outcome
from resource_gate.gate.progress import BatchProgress
from resource_gate.gate.retry import ErrorKind, Retries, classify
from resource_gate.nodes.resource_gate import ResourceGateClosed

GB = 1024**3


@pytest.mark.parametrize(
    ("error_type", "error", "kind"),
    [
        ("torch.OutOfMemoryError", "Allocation on device", ErrorKind.DEVICE_MEMORY),
        ("torch.cuda.OutOfMemoryError", "CUDA out of memory. Tried to allocate", ErrorKind.DEVICE_MEMORY),
        ("torch.AcceleratorError", "CUDA error: out of memory", ErrorKind.DEVICE_MEMORY),
        ("torch.AcceleratorError", "CUDA error: an illegal memory access was encountered", ErrorKind.BUG),
        ("RuntimeError", "MPS backend out of memory (MPS allocated: 8 GB)", ErrorKind.DEVICE_MEMORY),
        ("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling", ErrorKind.DEVICE_MEMORY),
        ("MemoryError", "", ErrorKind.MEMORY),
        ("numpy._core._exceptions._ArrayMemoryError", "Unable to allocate 8 GiB", ErrorKind.MEMORY),
        ("RuntimeError", "[enforce fail] DefaultCPUAllocator: can't allocate memory", ErrorKind.MEMORY),
        ("OSError", "[Errno 12] Cannot allocate memory", ErrorKind.MEMORY),
        ("OSError", "[WinError 1455] The paging file is too small", ErrorKind.MEMORY),
        ("ConnectionResetError", "[Errno 104] Connection reset by peer", ErrorKind.TRANSIENT),
        ("requests.exceptions.ConnectionError", "HTTPSConnectionPool", ErrorKind.TRANSIENT),
        ("requests.exceptions.ReadTimeout", "", ErrorKind.TRANSIENT),
        ("aiohttp.client_exceptions.ServerDisconnectedError", "", ErrorKind.TRANSIENT),
        ("httpx.ConnectError", "", ErrorKind.TRANSIENT),
        ("TimeoutError", "", ErrorKind.TRANSIENT),
        ("OSError", "[Errno 116] Stale file handle", ErrorKind.TRANSIENT),
        ("urllib.error.HTTPError", "HTTP Error 503: Service Unavailable", ErrorKind.TRANSIENT),
        ("urllib.error.HTTPError", "HTTP Error 404: Not Found", ErrorKind.BUG),
        ("FileNotFoundError", "[Errno 2] No such file or directory", ErrorKind.BUG),
        ("OSError", "[Errno 28] No space left on device", ErrorKind.BUG),
        ("PermissionError", "[Errno 13] Permission denied", ErrorKind.BUG),
        ("ValueError", "the request timed out in my head", ErrorKind.BUG),
        ("KeyError", "'x'", ErrorKind.BUG),
        ("interrupted", "interrupted by the user", ErrorKind.CANCELLED),
        ("comfy.model_management.InterruptProcessingException", "", ErrorKind.CANCELLED),
        ("validation", "prompt outputs failed validation", ErrorKind.VALIDATION),
    ],
)
def test_errors_are_told_apart_by_type_and_text(error_type, error, kind):
    assert classify(error_type, error) is kind


class Journal:
    """Remembers what it was told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *args, **more: self.told.append((name, *args))


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def gate(machine, journal):
    retries = Retries(lambda: machine.settings, machine.clock, machine.wall)
    return Gate(machine.admission, machine.brake, BatchProgress(machine.clock), journal, retries)


def fail(gate, error_type, error="", job="a"):
    gate.started(Job(job, 0.0))
    outcome = Outcome(job, False, error_type, error, "3")
    again = gate.retry(outcome)
    if not again:
        gate.ended(outcome)
    return again


def test_a_transient_error_is_tried_again_three_times_after_15_30_and_45_seconds(gate, machine):
    for number, seconds in enumerate((15, 30, 45), 1):
        assert fail(gate, "ConnectionError")
        verdict = gate.may_start(Job("a", 0.0))
        assert (verdict.start, verdict.reason) == (False, f"waiting to retry, {number} of 3, in {seconds} s")
        state = gate.admission.state
        assert (state.state, state.job, state.until - state.since) == ("waiting", "a", seconds)
        assert state.cause == {"code": "retry", "n": number, "total": 3}
        machine.wait(seconds - 0.1)
        assert not gate.may_start(Job("a", 0.0)).start
        machine.wait(0.2)
        assert gate.may_start(Job("a", 0.0)).start
        assert gate.admission.state.state == "open"
    assert not fail(gate, "ConnectionError")


def test_it_keeps_its_place_but_another_that_comes_in_front_may_start(gate):
    fail(gate, "ConnectionError")
    assert not gate.may_start(Job("a", 0.0)).start
    assert gate.may_start(Job("front", -1.0)).start


@pytest.mark.parametrize("error_type", ["ValueError", "interrupted", "validation", "unknown"])
def test_a_bug_a_cancel_and_a_wrong_prompt_are_never_tried_again(gate, error_type):
    assert not fail(gate, error_type)


def test_with_no_retries_set_nothing_is_tried_again(gate, machine):
    machine.set(gate={"retries": 0}).cached = 5 * GB
    assert not fail(gate, "ConnectionError")
    assert not fail(gate, "MemoryError", job="b")


def test_out_of_memory_is_tried_again_at_once_when_something_was_freed_and_once_only(gate, machine):
    machine.at(80).cached = 20 * GB
    assert fail(gate, "MemoryError")
    assert machine.cached == 0
    assert gate.may_start(Job("a", 0.0)).start
    machine.cached = 20 * GB
    assert not fail(gate, "MemoryError")


def test_out_of_memory_with_nothing_to_free_fails(gate, machine):
    assert not fail(gate, "MemoryError")


def test_out_of_device_memory_is_tried_again_for_the_host_has_unloaded_its_models(gate):
    assert fail(gate, "torch.OutOfMemoryError")
    assert not fail(gate, "torch.OutOfMemoryError")


def test_before_each_node_of_the_second_try_what_is_not_needed_goes(gate, machine):
    fail(gate, "torch.OutOfMemoryError")
    machine.cached = 20 * GB
    gate.may_start(Job("a", 0.0))
    gate.started(Job("a", 0.0))
    machine.at(50).cached = 20 * GB
    gate.before_node(NodeStart("a", "1", "X"))
    assert machine.cached == 0


def test_a_dry_run_or_reclaim_switched_off_frees_nothing_and_so_tries_nothing_again(gate, machine):
    for change in ({"dry_run": True}, {"enabled": False}):
        machine.set(reclaim=change).at(80).cached = 20 * GB
        assert not fail(gate, "MemoryError", job=str(change))
        machine.set(reclaim={"dry_run": False, "enabled": True})


def test_a_batch_in_which_everything_fails_is_not_tried_for_ever_and_that_is_said_once(gate, machine, caplog):
    limit = machine.settings.gate.batch_retries
    again = [fail(gate, "ConnectionError", job=f"j{n}") for n in range(limit + 10)]
    assert again.count(True) == limit
    assert again[limit:] == [False] * 10
    assert caplog.text.count("50 tries were granted in this batch, and no more are (gate.batch_retries)") == 1


def test_how_many_tries_a_batch_has_can_be_set(gate, machine):
    machine.set(gate={"batch_retries": 2})
    assert [fail(gate, "ConnectionError", job=f"j{n}") for n in range(4)] == [True, True, False, False]
    machine.set(gate={"batch_retries": 3})
    assert [fail(gate, "ConnectionError", job=f"k{n}") for n in range(2)] == [True, False]


def test_the_end_forgets_the_tries_so_that_a_new_prompt_with_the_same_id_has_its_own(gate):
    fail(gate, "ConnectionError")
    gate.started(Job("a", 0.0))
    gate.ended(Outcome("a", True))
    for _ in range(3):
        assert fail(gate, "ConnectionError")


def test_progress_and_journal_hear_of_one_job_with_two_tries(gate, journal):
    fail(gate, "ConnectionError", "no line")
    gate.started(Job("a", 0.0))
    gate.ended(Outcome("a", True))
    told = gate.progress.as_dict(0)
    assert (told["done"], told["failed"], told["retried"], told["total"]) == (1, 0, 1, 1)
    assert [entry[0] for entry in journal.told] == ["started", "put_back", "started", "ended"]
    assert journal.told[1] == ("put_back", "a", Outcome("a", False, "ConnectionError", "no line", "3"), "")


def test_a_prompt_interrupted_in_an_emergency_is_told_to_the_journal_as_waiting(gate, journal):
    gate.started(Job("a", 0.0))
    gate.put_back("a")
    assert journal.told[-1] == ("put_back", "a", None, "")
    assert gate.progress.as_dict(1)["total"] == 1


def test_a_gate_node_that_was_told_to_fail_is_not_tried_again():
    """The user set how long it waits; waiting three times as long again is not what was asked for."""
    error = "Resource Gate (node 4) waited 60 s and still RAM is at 93% of 8.0 GB (limit 85 %)."
    kind = f"custom_nodes.resource-gate.nodes.resource_gate.{ResourceGateClosed.__name__}"
    assert classify(kind, error) is ErrorKind.BUG
