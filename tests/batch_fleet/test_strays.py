"""What a machine that was cut off may still run of a job that went to another one."""

from __future__ import annotations

from resource_gate.batch.runner.prompt import prompt_id


def cut_off(one, reading, then=None):
    """The first job's machine `a` is cut off; `b` comes. From then on jobs go as `then` says, done by default."""

    def answer(lease, job, machine):
        if len(one.hands.given) == 1:
            one.broken(lease, "it has not been heard of for 30 s")
            one.leave("a")
            one.see("b", reading())
        elif then is not None and (what := then(lease, job, machine)):
            what()
        else:
            one.done(lease, job, machine)

    one.hands.answer = answer
    one.see("a", reading())


def notes(one) -> list[str]:
    return [event["text"] for event in one.told_of("note")]


def test_a_job_that_moves_is_said_to_have_left_a_prompt_behind(bench, clip, reading):
    one = bench([clip(0), clip(1)])
    cut_off(one, reading)
    assert one.run() == ""
    assert {row["state"] for row in one.rows().values()} == {"done"}
    (moved,) = [text for text in notes(one) if "may still be at it" in text]
    assert moved == "clip000 goes to b; a may still be at it, and what it makes counts for nothing"


def test_the_ids_called_off_are_those_it_may_have_sent_there_and_a_double_is_thrown_away(bench, clip, reading):
    one = bench([clip(n) for n in range(3)], options={"retries": 2})
    one.hands.becomes = [["gone", "ended", "gone"]]

    def then(lease, job, machine):
        if job != "clip000":
            return None
        one.at[one.now + 3] = lambda: one.done(lease, job, machine)
        return lambda: one.see("a", reading())

    cut_off(one, reading, then=then)
    assert one.run() == ""
    assert one.hands.called_off == [("a", 0)]
    key, batch = clip(0).key, one.journal.meta["id"]
    assert one.hands.ids == [prompt_id(batch, key, number) for number in (1, 2, 3)]
    assert "a is back: clip000 went elsewhere meanwhile, and it had done it, too: that is thrown away" in notes(one)
    assert len(one.told_of("job_ended")) == 3 and one.rows()["clip000"]["server"] == "b"


def test_a_job_that_goes_back_to_its_machine_finds_its_prompt_and_nothing_is_called_off(bench, clip, reading):
    one = bench([clip(0)])

    cut_off(one, reading)
    one.at[8.0] = lambda: one.see("a", reading())
    assert one.run() == ""
    assert one.hands.given == [("clip000", "a")] * 2 and one.hands.attempts == [1, 1]
    assert one.hands.called_off == [] and not any("may still be" in text for text in notes(one))


def test_a_job_that_comes_back_to_a_machine_where_it_was_called_off_gets_an_id_of_its_own(bench, clip, reading):
    one = bench([clip(0)], options={"retries": 1})

    def then(lease, job, machine):
        if machine == "b":
            one.see("a", reading())
            one.at[one.now + 3] = lambda: (one.broken(lease), one.leave("b"))
            return lambda: None
        return None

    cut_off(one, reading, then=then)
    assert one.run() == ""
    assert [machine for _, machine in one.hands.given] == ["a", "b", "a"]
    assert one.hands.called_off == [("a", 0)]
    assert one.hands.attempts == [1, 1, 3]  # 1 and 2 may have been called off there


def test_what_could_not_be_called_off_is_tried_when_the_machine_is_seen_again(bench, clip, reading):
    one = bench([clip(0)])
    one.hands.becomes = [None, ["gone"]]

    def then(lease, job, machine):
        one.see("a", reading())
        one.at[one.now + 3] = lambda: one.see("a", reading())
        one.at[one.now + 6] = lambda: one.done(lease, job, machine)
        return lambda: None

    cut_off(one, reading, then=then)
    assert one.run() == ""
    assert one.hands.called_off == [("a", 0)] * 2
    assert "a is back: clip000 went elsewhere meanwhile, and it is not at it any more" in notes(one)
