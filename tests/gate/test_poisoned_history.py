"""Whatever a file of earlier runs says, prompts fare no worse than without one."""

from __future__ import annotations

import json
import random

import pytest

from resource_gate.batch.trial.sample_jobs import ClipSize, plain_clip
from resource_gate.gate.prediction.features import features_of
from resource_gate.gate.prediction.history import Run, machine_id
from resource_gate.gate.prediction.history_file import FILE
from resource_gate.gate.prediction.prediction import Prediction

GB = 1024**3
MOST = 64 * GB
SIZES = (17, 33, 49, 65, 81, 97)
BYTES_A_PIXEL = 14


def features(frames):
    return features_of(plain_clip(1, ClipSize(frames)).graph, ("save",))


def true_run(frames, rng, **more):
    f = features(frames)
    ram = int((f.largest * BYTES_A_PIXEL + 60e6) * (1 + abs(rng.gauss(0, 0.02))))
    values = {"ram": ram, "seconds": frames / 20, "machine": machine_id(), "time": 1.0, **more}
    return Run(f.family, f.sizes, vram=0, kinds=f.kinds, **values)


def lines(change, count=30):
    rng = random.Random(1)
    return [change(json.loads(true_run(rng.choice(SIZES), rng).line())) for _ in range(count)]


def scaled(name, factor):
    return lambda run: json.dumps({**run, name: type(run[name])(run[name] * factor)})


POISON = {
    "fifty times the memory": lines(scaled("ram", 20)),
    "a fiftieth of the memory": lines(scaled("ram", 0.02)),
    "nothing taken": lines(scaled("ram", 0)),
    "more than the machine has": lines(lambda run: json.dumps({**run, "ram": 2**45})),
    "a hundred times the time": lines(scaled("seconds", 100)),
    "no time at all": lines(scaled("seconds", 0)),
    "of another machine": lines(lambda run: json.dumps({**run, "machine": "other", "ram": run["ram"] * 9})),
    "infinite": lines(lambda run: json.dumps({**run, "ram": 1e400, "seconds": float("nan")})),
    "all of it died": lines(lambda run: json.dumps({**run, "outcome": "died", "ram": run["ram"] * 10})),
    "cut off": [lines(json.dumps)[0][:-20]] * 10,
    "not ours": ["{}", "[]", "null", '"', "\0\0\0", "{" * 5000],
}


def fresh(folder, machine, poison=()):
    folder.mkdir()
    if poison:
        (folder / FILE).write_text("\n".join(poison))
    made = Prediction(folder, lambda: machine.settings, most_ram=MOST)
    made.open()
    return made


@pytest.mark.parametrize("poison", POISON)
def test_one_run_of_this_process_is_enough_to_be_no_worse_off_than_without_a_file(machine, tmp_path, poison):
    clean, poisoned = fresh(tmp_path / "a", machine), fresh(tmp_path / "b", machine, POISON[poison])
    assert poisoned.problem is None
    rng = random.Random(2)
    under, over = {clean: 0, poisoned: 0}, {clean: 0.0, poisoned: 0.0}
    for number in range(30):
        run = true_run(rng.choice(SIZES), rng)
        for one in (clean, poisoned):
            need = one.predictor.need_of(features(97 if not number else round(run.seconds * 20)))
            if number == 0:
                assert not need.confirmed, "what only a file says neither holds nor refuses"
            elif number > 1:
                under[one] += need.ram < run.ram
                over[one] += max(0, need.ram - run.ram) / run.ram
            if number > 3:
                assert need.low / 2 <= run.seconds <= need.high * 2
            one.predictor.learn(run)
    assert under[poisoned] <= under[clean] + 1
    assert over[poisoned] <= over[clean] + 1.0


def test_of_what_is_damaged_the_whole_lines_are_kept(machine, tmp_path):
    whole = lines(json.dumps, 6)
    made = fresh(tmp_path / "a", machine, [*whole[:3], whole[3][: len(whole[3]) // 2], *whole[4:], '{"v":1'])
    assert made.predictor.need_of(features(97)).runs == 5 and made.file.passed_over == 2
