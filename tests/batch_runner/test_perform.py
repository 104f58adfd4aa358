from __future__ import annotations

from pathlib import Path

import pytest

from resource_gate.batch.runner.prompt import prompt_id
from resource_gate.batch.runner.stopping import Stop


def test_a_job_runs_once_and_its_file_lies_in_the_out_folder_under_its_name(fake, runs, job, options, a_video, outcome):
    fake.default = outcome(files={"video/clip_00001_.mp4": a_video})
    result = runs(fake)(job())
    assert result.ok and result.attempts == 1
    assert result.outputs == (options.out / "job0.mp4",)
    assert result.outputs[0].read_bytes() == a_video
    assert [path.name for path in options.out.iterdir()] == ["job0.mp4"]
    assert fake.sent == [prompt_id(options.batch_id, job().key, 1)]


def test_the_intent_is_told_before_the_prompt_is_sent(fake, runs, job):
    run = runs(fake)
    sent_when_told = []

    def tell(event):
        if event["event"] == "submitted":
            sent_when_told.append(list(fake.sent))

    run.told = type("Tell", (), {"append": staticmethod(tell)})()
    run(job())
    assert sent_when_told == [[]] and len(fake.sent) == 1


def test_a_prompt_that_the_server_has_already_is_followed_and_not_sent_again(fake, runs, job, options, outcome):
    id_ = prompt_id(options.batch_id, job().key, 3)
    fake._loop.call_soon_threadsafe(fake._run, id_, outcome())
    assert runs(fake)(job(), first_attempt=3).ok
    assert fake.sent == [] and fake.ran[id_] == 1


def test_a_prompt_that_has_ended_meanwhile_is_not_run_again(fake, runs, job):
    run = runs(fake)
    assert run(job()).ok and run(job()).ok
    assert len(fake.sent) == 1


def test_a_request_whose_answer_is_lost_is_not_sent_twice(fake, runs, job, outcome):
    fake.outcomes = [outcome(answers=False)]
    run = runs(fake)
    assert run(job()).ok
    assert len(fake.sent) == 1 and list(fake.ran.values()) == [1]
    assert run.of("server")[0]["state"] == "gone"


def test_a_passing_error_is_tried_again_under_a_new_id_after_growing_waits(fake, runs, job, outcome):
    fake.outcomes = [outcome("error", error=("requests.exceptions.ConnectionError", "reset"))] * 2
    run = runs(fake)
    result = run(job())
    assert result.ok and result.attempts == 3 and len(set(fake.sent)) == 3
    retries = run.of("retry")
    assert [retry["attempt"] for retry in retries] == [1, 2]
    assert retries[1]["wait"] == pytest.approx(2 * retries[0]["wait"])


def test_retries_have_an_end_and_the_reason_stays(fake, runs, job, outcome):
    fake.default = outcome("error", error=("TimeoutError", "timed out"))
    result = runs(fake, retries=2)(job())
    assert not result.ok and result.attempts == 3
    assert result.error_kind == "transient" and result.node == "1 Make" and "timed out" in result.error


@pytest.mark.parametrize(("kind", "message"), [("KeyError", "'a'"), ("ValueError", "no such thing")])
def test_an_error_of_a_node_itself_is_not_tried_again(fake, runs, job, outcome, kind, message):
    fake.default = outcome("error", error=(kind, message))
    result = runs(fake)(job())
    assert not result.ok and len(fake.sent) == 1 and message in result.error


def test_want_of_memory_is_tried_once_more_after_everything_was_freed(fake, runs, job, outcome):
    fake.default = outcome("error", error=("torch.OutOfMemoryError", "Allocation failed"))
    result = runs(fake)(job())
    assert not result.ok and len(fake.sent) == 2
    assert fake.frees == [{"level": "emergency"}]
    assert result.error_kind == "out of device memory"


def test_a_refused_workflow_names_the_node_and_is_not_tried_again(fake, runs, job, outcome):
    fake.default = outcome("refused")
    result = runs(fake)(job())
    assert result.error == "the server refuses the workflow: 1 Make: Value not in list (seed: 7)"
    assert result.node == "1 Make" and result.error_kind == "validation" and len(fake.sent) == 1


def test_a_workflow_that_breaks_the_server_fails_alone(fake, runs, job, outcome):
    fake.default = outcome("500")
    result = runs(fake)(job())
    assert result.error == "the server could not take the workflow: HTTP 500: no luck today"
    assert not result.job_is_open and len(fake.sent) == 1


def test_what_a_proxy_answers_for_an_absent_server_is_waited_out(fake, runs, job, outcome):
    fake.outcomes = [outcome("502"), outcome("503")]
    run = runs(fake)
    assert run(job()).ok
    assert [event["state"] for event in run.of("server")] == ["gone", "back", "gone", "back"]


def test_a_status_that_fails_keeps_no_job_from_running(fake, runs, job):
    fake.broken_status = 500
    assert runs(fake)(job()).ok


def test_a_job_that_somebody_interrupts_at_the_server_ends_there(fake, runs, job, outcome, until):
    fake.default = outcome("hold")
    answer = runs(fake).background(job())
    until(lambda: fake.running)
    fake.finish(fake.running[0], outcome("interrupted"))
    assert answer().error_kind == "cancelled" and len(fake.sent) == 1


def test_a_video_that_is_cut_off_is_made_anew_and_never_lies_in_the_out_folder(
    fake, runs, job, options, a_video, outcome
):
    fake.default = outcome(files={"clip.mp4": a_video[: len(a_video) // 2]})
    result = runs(fake)(job())
    assert result.error_kind == "output" and "does not decode" in result.error
    assert len(fake.sent) == 2 and fake.frees == [{"level": "emergency"}]
    assert list(options.out.iterdir()) == []


def test_a_job_without_any_file_is_no_success(fake, runs, job, outcome):
    fake.default = outcome(files={"empty.mp4": b""})
    result = runs(fake, retries=0)(job())
    assert result.error == "empty.mp4 is empty"


def test_a_server_that_comes_back_is_waited_for_and_the_job_goes_on(fake, runs, job, outcome, until):
    fake.default = outcome("hold")
    run = runs(fake, ready_budget=20.0)
    answer = run.background(job())
    until(lambda: fake.running)
    fake.stop()
    until(lambda: run.of("reconnect"))
    fake.start()
    until(lambda: any(event["state"] == "back" for event in run.of("server")))
    fake.finish(fake.sent[0])
    assert answer().ok
    assert len(fake.sent) == 1


def test_a_server_that_forgot_the_job_gets_it_again_under_the_same_id(fake, runs, job, outcome, until):
    fake.outcomes = [outcome("hold")]
    run = runs(fake, ready_budget=20.0)
    answer = run.background(job())
    until(lambda: fake.running)
    fake.stop()
    fake.forget()
    fake.start()
    result = answer()
    assert result.ok and result.attempts == 2
    assert len(fake.sent) == 2 and len(set(fake.sent)) == 1


def test_a_server_that_keeps_the_job_in_its_own_journal_is_asked_to_put_it_back(
    fake, runs, job, options, outcome, until
):
    fake.outcomes = [outcome("hold")]
    run = runs(fake, ready_budget=20.0)
    answer = run.background(job())
    until(lambda: fake.running)
    fake.stop()
    fake.forget()
    fake.restorable[fake.sent[0]] = outcome()
    fake.start()
    assert answer().ok
    assert len(fake.sent) == 1


def test_a_job_that_the_server_set_aside_fails_with_the_story(fake, runs, job, options, outcome):
    id_ = prompt_id(options.batch_id, job().key, 1)
    fake.quarantined = [{"id": id_, "deaths": 2, "error": "the process died while it ran"}]
    fake.default = outcome("lost")
    result = runs(fake)(job())
    assert result.error == "set aside after 2 deaths of the server while it ran: the process died while it ran"
    assert result.cause == {"code": "aside"}
    assert result.error_kind == "lost"


def test_a_server_that_loses_each_job_is_not_asked_for_ever(fake, runs, job, outcome):
    fake.default = outcome("lost")
    run = runs(fake, retries=2)
    assert run(job()).error_kind == "lost"
    assert len(fake.sent) == 3 and len(set(fake.sent)) == 1


def test_a_server_that_stays_away_leaves_the_job_open(fake, runs, job):
    run = runs(fake)
    fake.stop()
    result = run(job())
    assert result.error_kind == "server" and result.job_is_open and "did not come back" in result.error
    assert [event["try"] for event in run.of("reconnect")] == [1, 2, 3, 4, 5]


def test_a_server_whose_worker_is_dead_gets_no_job(fake, runs, job):
    fake.worker_alive = False
    result = runs(fake)(job())
    assert result.job_is_open and "prompt worker is dead" in result.error and fake.sent == []


def test_a_stop_takes_the_running_prompt_off_the_server(fake, runs, job, outcome, until):
    fake.default = outcome("hold")
    run = runs(fake)
    answer = run.background(job())
    until(lambda: fake.running)
    run.stop.set()
    result = answer()
    assert result.error_kind == "stopped" and result.job_is_open
    assert fake.interrupts == [{"prompt_id": fake.sent[0]}] and not fake.running


def test_a_stop_takes_a_waiting_prompt_off_the_queue_and_leaves_the_running_one(fake, runs, job, outcome, until):
    fake.running.append("another's")
    fake.default = outcome("hold")
    run = runs(fake)
    answer = run.background(job())
    until(lambda: run.of("waiting"))
    assert run.of("waiting")[0]["reason"] == "1 prompts before it in the server's queue"
    run.stop.set()
    assert answer().error_kind == "stopped"
    assert fake.pending == [] and fake.running == ["another's"] and fake.interrupts == []


def test_a_stop_is_heard_while_a_retry_is_waited_for(fake, runs, job, outcome, until):
    fake.default = outcome("error", error=("TimeoutError", "timed out"))
    run = runs(fake, retry_wait=3600.0)
    answer = run.background(job())
    until(lambda: run.of("retry"))
    run.stop.set()
    assert answer().error_kind == "stopped"


def test_a_job_that_takes_too_long_is_taken_off(fake, runs, job, outcome):
    fake.default = outcome("hold")
    result = runs(fake, job_timeout=0.1)(job())
    assert result.error_kind == "timeout" and not fake.running
    assert result.cause == {"code": "late"}


@pytest.mark.parametrize("listen", [True, False])
def test_a_silent_socket_or_none_at_all_ends_the_job_all_the_same(fake, runs, job, listen):
    fake.events = False
    assert runs(fake, listen=listen)(job()).ok


def test_what_a_stock_server_lacks_is_said_once(stock, runs, job):
    run = runs(stock)
    assert run(job(0)).ok and run(job(1)).ok
    assert len([note for note in run.of("note") if "without Resource Gate" in note["text"]]) == 1
    assert run.of("memory")[0]["fraction"] == 0.5


def test_a_full_server_is_freed_and_waited_for_before_the_job(fake, runs, job):
    fake.ram = [0.93, 0.92, 0.5]
    run = runs(fake)
    assert run(job()).ok
    assert run.of("waiting")[0]["reason"].endswith("is at its critical level, RAM at 93%")
    assert fake.frees == [{"level": "critical"}]


def test_a_machine_that_is_full_for_good_is_not_waited_for_all_the_time(stock, runs, job):
    stock.ram = [0.95]
    result = runs(stock, settle=3600.0, release="never")(job())
    assert result.ok and len(stock.frees) == 1


def test_a_stock_server_that_is_nearly_full_is_freed_after_a_job(stock, runs, job):
    stock.ram = [0.5, 0.87]
    assert runs(stock, settle=0.6)(job()).ok
    assert stock.frees == [{"unload_models": True, "free_memory": True}]


def test_peaks_are_the_highest_readings(fake, runs, job):
    fake.ram = [0.5, 0.7, 0.6]
    assert runs(fake)(job()).peak_ram == 700


def test_what_the_servers_gate_measured_and_had_foretold_is_in_the_result(fake, runs, job, options):
    row = {"id": prompt_id(options.batch_id, job().key, 1), "peak_ram": 640, "peak_vram": {"vram0": 5}}
    fake.journalled = [{"id": "another", "peak_ram": 1, "predicted": 2}, {**row, "predicted": 700}]
    result = runs(fake)(job())
    assert (result.peak_ram, dict(result.peak_vram), result.expected_ram) == (640, {"vram0": 5}, 700)
    fake.journalled = []
    assert runs(fake)(job(1)).expected_ram is None


def test_a_missing_file_is_said_before_anything_is_sent(fake, runs, job, tmp_path):
    result = runs(fake)(job(files={"clip": tmp_path / "gone.mp4"}))
    assert result.error == f"missing: {tmp_path / 'gone.mp4'} (node 1, input clip)"
    assert fake.sent == []


def test_files_are_uploaded_under_names_that_overwrite_nothing(fake, runs, job, tmp_path):
    paths = [tmp_path / name for name in ("one/a clip.mp4", "two/a clip.mp4")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(path.parent.name.encode())
    run = runs(fake)
    for index, path in enumerate([*paths, paths[0]]):
        assert run(job(index, files={"clip": path})).ok
    assert fake.uploads == 2
    assert sorted(fake.inputs.values()) == [b"one", b"two"]
    given = [graph["1"]["inputs"]["clip"] for graph in fake.graphs]
    assert given[0] == given[2] != given[1] and set(given) == set(fake.inputs)
    assert Path(given[0]).name.startswith("a_clip-") and given[0].startswith("resource_gate/")


def test_a_file_that_lies_in_the_servers_input_folder_is_named_and_not_sent(stock, runs, job, tmp_path):
    path = tmp_path / "base/input/deep/clip.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"frames")
    stock.inputs["deep/clip.mp4"] = b"frames"
    stock.arguments = ["main.py", "--base-directory", str(tmp_path / "base")]
    assert runs(stock)(job(files={"clip": path})).ok
    assert stock.graphs[0]["1"]["inputs"]["clip"] == "deep/clip.mp4" and stock.uploads == 0


def test_a_file_that_only_seems_to_be_there_is_sent(stock, runs, job, tmp_path):
    path = tmp_path / "base/input/clip.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"frames")  # a container's port on this machine: its folders are not ours
    stock.arguments = ["main.py", f"--base-directory={tmp_path / 'base'}"]
    assert runs(stock)(job(files={"clip": path})).ok
    assert stock.uploads == 1


def test_a_job_that_is_let_go_of_leaves_its_prompt_at_the_server_for_the_next_who_asks(fake, runs, job, outcome, until):
    fake.default = outcome("hold")
    run = runs(fake)
    run.stop = Stop()
    answer = run.background(job())
    until(lambda: fake.running)
    run.stop.let_go()
    assert answer().error_kind == "stopped"
    assert fake.running == fake.sent and not fake.interrupts
    again = runs(fake).background(job())
    fake.finish(fake.sent[0])
    assert again().ok and len(fake.sent) == 1
