"""What the gate tells the prediction, and what that makes of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from resource_gate.batch.trial.sample_jobs import ClipSize, plain_clip
from resource_gate.gate.gate import Gate
from resource_gate.gate.host import Job, Outcome, Queued
from resource_gate.gate.prediction.history_file import FILE
from resource_gate.gate.prediction.prediction import Prediction
from resource_gate.gate.progress import BatchProgress

GB = 1024**3


@pytest.fixture
def prediction(machine, tmp_path):
    made = Prediction(tmp_path, lambda: machine.settings, clock=machine.clock, wall=machine.wall)
    made.open()
    return made


def brake(ram, ran=("frames", "scale", "video", "save"), vram=0):
    return SimpleNamespace(
        meter=SimpleNamespace(ram=int(ram), lean=0, nodes={"ImageScale": int(ram)}), job_vram=vram, ran=set(ran)
    )


def job(name, frames=97):
    return Job(name, 0, plain_clip(1, ClipSize(frames)).graph, ("save",))


def run(prediction, machine, name, ram=2 * GB, seconds=3.0, frames=97, outcome=None, **more):
    one = job(name, frames)
    prediction.queued(Queued(name, 0, one.graph, one.outputs))
    prediction.started(one)
    machine.wait(seconds)
    prediction.ended(outcome or Outcome(name, True), brake(ram, **more))


def test_what_a_run_took_is_expected_of_the_next_one_and_kept_for_the_next_start(prediction, machine, tmp_path):
    for n in range(3):
        run(prediction, machine, str(n))
    need = prediction.need(job("next"))
    assert need.known and need.ram_mean == pytest.approx(2 * GB, rel=0.05) and need.seconds == pytest.approx(3, rel=0.1)
    later = Prediction(tmp_path, lambda: machine.settings)
    later.open()
    again = later.need(job("next"))
    assert again.ram == need.ram and again.known and not again.confirmed


def test_a_job_that_is_queued_has_its_time_told_once_its_family_is_known(prediction, machine):
    prediction.queued(Queued("b", 0, job("b").graph, ("save",)))
    assert prediction.seconds("b") is None and prediction.seconds("never heard of") is None
    for n in range(3):
        run(prediction, machine, str(n))
    mean, low, high = prediction.seconds("b")
    assert low < mean < high and mean == pytest.approx(3, rel=0.1)


def test_of_a_prompt_that_comes_back_from_the_journal_it_is_known_how_long_it_takes(prediction, machine):
    for n in range(3):
        run(prediction, machine, str(n))
    progress = BatchProgress(seconds_of=prediction.seconds)
    gate = Gate(machine.admission, machine.brake, progress, prediction=prediction)
    assert progress.as_dict(1)["eta_seconds"] is None
    gate.about_to_wait(Queued("left", 0, job("left").graph, ("save",)))
    assert progress.as_dict(1)["eta_seconds"] == pytest.approx(3, rel=0.1)


def test_a_run_out_of_the_cache_does_not_teach(prediction, machine):
    run(prediction, machine, "a")
    before = prediction.need(job("b"))
    run(prediction, machine, "c", ram=0, seconds=0.01, ran=("save",))
    assert prediction.need(job("b")) == before


def test_frames_that_would_fit_are_four_n_plus_one(prediction, machine):
    for n, frames in enumerate((33, 65, 97, 49)):
        run(prediction, machine, str(n), ram=frames * 0.02 * GB, frames=frames)
    fitting = prediction.fitting_frames(job("next", 161), 2 * GB)
    assert fitting % 4 == 1 and 73 <= fitting <= 97
    assert prediction.fitting_frames(job("next", 161), 1000) is None
    assert prediction.fitting_frames(job("one", 1), 2 * GB) is None, "there are no fewer than one"
    mistyped = prediction.fitting_frames(job("mistyped", 10**9), 2 * GB)
    assert mistyped is not None and mistyped % 4 == 1


def test_switched_off_it_says_and_learns_nothing(prediction, machine, tmp_path):
    machine.set(gate={"predict": False})
    run(prediction, machine, "a")
    assert prediction.need(job("b")) is None
    assert not (tmp_path / FILE).exists()


def test_an_error_of_its_own_turns_it_off_and_the_gate_goes_on(machine, prediction):
    prediction.predictor = None
    gate = Gate(machine.admission, machine.brake, BatchProgress(), prediction=prediction)
    gate.accepted(Queued("a", 0, job("a").graph))
    assert gate.may_start(job("a")).start
    gate.started(job("a"))
    gate.ended(Outcome("a", True))
    assert "thresholds alone" in prediction.problem
    assert prediction.need(job("b")) is None and prediction.seconds("b") is None


class Ends:
    """What a journal is told of ends."""

    def __init__(self):
        self.told = []

    def accepted(self, prompt): ...

    def started(self, job): ...

    def ended(self, outcome, peak_ram=0, peak_vram=None, predicted=None):
        self.told.append((outcome.job_id, predicted))


@pytest.mark.parametrize(("taught", "beside"), [(0, False), (3, True)])
def test_the_journal_is_told_what_was_expected_of_a_large_prompt_once_its_like_is_known(
    machine, prediction, taught, beside
):
    for n in range(taught):
        run(prediction, machine, str(n))
    ends = Ends()
    gate = Gate(machine.admission, machine.brake, BatchProgress(), ends, prediction=prediction)
    gate.accepted(Queued("a", 0, job("a").graph, ("save",)))
    gate.started(job("a"))
    gate.ended(Outcome("a", True))
    ((name, predicted),) = ends.told
    assert name == "a" and (predicted is not None and 2 * GB < predicted < 6 * GB) == beside


def test_what_was_learned_is_told_with_how_right_it_was(prediction, machine):
    for n in range(6):
        run(prediction, machine, str(n), ram=(2 + n / 50) * GB)
    (family,) = prediction.view()["families"]
    assert family["runs"] == 6 and family["checked"] == 5 and family["outcomes"] == {"ok": 6}
    assert family["under"] == 0 and 0 < family["waste"] < 0.8 and family["covered"] == 1
    assert family["kinds"] == ["CreateVideo", "EmptyImage", "ImageScale", "SaveVideo"]
    assert family["nodes"] == {"ImageScale": pytest.approx(2.1 * GB, rel=0.01)}


def test_a_family_is_forgotten_in_memory_and_in_the_file(prediction, machine, tmp_path):
    run(prediction, machine, "a")
    (family,) = prediction.view()["families"]
    assert prediction.forget(family["family"][:6]) == 1
    assert not prediction.need(job("b")).known and (tmp_path / FILE).read_text() == ""


def test_out_of_memory_is_remembered_as_such_and_its_peak_as_the_least(prediction, machine):
    for n in range(4):
        run(prediction, machine, str(n))
    run(prediction, machine, "x", ram=6 * GB, outcome=Outcome("x", False, "torch.OutOfMemoryError", "CUDA"))
    assert prediction.view()["families"][0]["outcomes"] == {"ok": 4, "memory": 1}
    assert prediction.need(job("b")).ram > 3 * GB


def sized(prediction, name, size):
    graph = plain_clip(1).graph
    graph["frames"]["inputs"]["batch_size"] = ["n", 0]
    graph["n"] = {"class_type": "ResourceGateBatchSize", "inputs": {"wanted": 500, "step": 1}}
    prediction.started(Job(name, 0, graph, ("save",)))
    prediction.chosen("n", size)


@pytest.mark.parametrize(("died", "outcomes"), [(True, {"died": 1}), (False, {})])
def test_a_size_the_process_died_of_is_learned_at_the_next_start_if_the_journal_says_so(
    machine, tmp_path, died, outcomes
):
    first = Prediction(tmp_path, lambda: machine.settings)
    first.open()
    sized(first, "killer", 120)
    second = Prediction(tmp_path, lambda: machine.settings, died=lambda job_id: died and job_id == "killer")
    second.open()
    assert (second.view()["families"] or [{"outcomes": {}}])[0]["outcomes"] == outcomes


def test_an_orderly_end_or_the_end_of_the_job_leaves_no_such_lesson(machine, tmp_path):
    first = Prediction(tmp_path, lambda: machine.settings)
    first.open()
    sized(first, "a", 120)
    first.close()
    second = Prediction(tmp_path, lambda: machine.settings)
    second.open()
    assert second.view()["families"] == []
    sized(second, "b", 120)
    second.ended(Outcome("b", True), brake(GB))
    third = Prediction(tmp_path, lambda: machine.settings)
    third.open()
    assert third.view()["families"][0]["outcomes"] == {"ok": 1}


def test_a_note_of_an_attempt_that_cannot_be_taken_away_turns_nothing_off(prediction, machine, tmp_path):
    """As on Windows, where whoever scans a file that was just written keeps it for a moment."""
    prediction.started(job("a"))
    prediction.chosen("frames", 42)
    note = tmp_path / "attempt.json"
    note.unlink()
    note.mkdir()  # what is no file cannot be unlinked, on any system
    prediction.ended(Outcome("a", True), brake(2 * GB))
    assert prediction.problem is None
    assert prediction.need(job("b")).known
    note.rmdir()
    note.write_text("{}")
    prediction.started(job("c"))
    prediction.ended(Outcome("c", True), brake(2 * GB))
    assert not note.exists()


def test_the_first_other_prompt_that_is_known_to_fit_is_found(prediction, machine):
    for n, frames in enumerate((17, 33, 65, 97)):
        run(prediction, machine, str(n), ram=frames * 0.02 * GB, frames=frames)
    for name, frames in (("large", 97), ("small", 17), ("smaller", 9)):
        prediction.queued(Queued(name, 0, job(name, frames).graph, ("save",)))
    assert prediction.fitting_prompt(job("large"), GB) == "small"
    assert prediction.fitting_prompt(job("small"), GB) == "smaller"
    assert prediction.fitting_prompt(job("small"), 1000) == ""


def test_a_prompt_that_chooses_its_size_is_expected_to_choose_as_last_time_not_all_that_is_wanted(prediction, machine):
    for n, frames in enumerate((17, 33, 65, 97)):
        run(prediction, machine, str(n), ram=frames * 0.02 * GB, frames=frames)
    graph = plain_clip(1).graph
    graph["frames"]["inputs"]["batch_size"] = ["n", 0]
    graph["n"] = {"class_type": "ResourceGateBatchSize", "inputs": {"wanted": 4000, "step": 1}}
    assert prediction.need(Job("first", 0, graph, ("save",))).ram < 0.5 * GB
    sized(prediction, "a", 65)
    machine.wait(1)
    prediction.ended(Outcome("a", True), brake(65 * 0.02 * GB))
    assert prediction.need(Job("next", 0, graph, ("save",))).ram_mean == pytest.approx(1.3 * GB, rel=0.1)


def test_a_graph_from_outside_is_foretold_as_if_it_were_queued_and_leaves_no_trace(prediction, machine):
    for n in range(3):
        run(prediction, machine, str(n))
    one = job("next")
    told = prediction.foretell(one.graph, one.outputs)
    assert told == prediction.foretell(one.graph, one.outputs) == prediction.need(one)
    assert prediction.seconds("foretold") is None
    assert prediction.foretell({"1": {"class_type": "Never", "inputs": {}}}).known is False


def test_a_graph_from_outside_that_breaks_the_prediction_turns_nothing_off(prediction, machine):
    class Broken(dict):
        def _never(self, *args):
            raise ValueError("no graph at all")

        __iter__ = __getitem__ = __contains__ = get = items = keys = values = _never

    with pytest.raises(ValueError):
        prediction.foretell(Broken({"1": {"class_type": "EmptyImage"}}))
    assert prediction.problem is None and prediction.need(job("a")) is not None


def test_where_the_user_wants_no_prediction_nothing_is_foretold(prediction, machine):
    machine.set(gate={"predict": False})
    assert prediction.foretell(job("a").graph) is None
