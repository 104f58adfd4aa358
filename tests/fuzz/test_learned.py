"""Whatever lies in what was learned, or in a graph: it is read or passed over, and what is foretold stays a number."""

from __future__ import annotations

import json
import math
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from resource_gate.gate.attempt import FILE as ATTEMPT
from resource_gate.gate.attempt import AttemptNote
from resource_gate.gate.last_exit import FILE as EXITS
from resource_gate.gate.last_exit import last_exit
from resource_gate.gate.prediction.features import Features, features_of
from resource_gate.gate.prediction.history import Run, believable
from resource_gate.gate.prediction.history_file import HistoryFile
from resource_gate.gate.prediction.predict import Predictor

FUZZ = settings.get_profile("fuzz")
GB = 1024**3
HERE = "this"
RUN = Run("f" * 16, (1e7, 2e7, 0.0), GB, 0, 1.5, machine=HERE, time=1000.0, kinds=("A", "B"), nodes={"A": GB})
FEATURES = Features("f" * 16, ("A", "B"), (), 1e7, 2e7, 0.0)

numbers = st.integers() | st.floats() | st.integers(min_value=2**62, max_value=2**80) | st.sampled_from([0, -1, 1e308])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
fields = st.sampled_from(sorted(RUN._fields)) | st.just("v") | st.text(max_size=4)
lines = st.dictionaries(fields, values | st.lists(numbers, min_size=3, max_size=5), max_size=5).map(
    lambda change: json.dumps({**json.loads(RUN.line()), **change})
)


class Deep(str):
    """Nested so deeply that reading it ends in a `RecursionError`; a finding shows its length, not all of it."""

    def __repr__(self) -> str:
        return f"{self[:10]}… ({len(self)} characters)"


deep = st.sampled_from([Deep("[" * 15_000), Deep('{"a":' * 3_000), Deep('{"v":1,"nodes":' + "[" * 8_000)])


def as_bytes(content) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def sound(need) -> bool:
    told = (need.ram, need.vram, need.seconds, need.low, need.high)
    return all(math.isfinite(number) and number >= 0 for number in told) and need.low <= need.seconds <= need.high


def loaded(folder: Path, content: bytes) -> None:
    """What is in the file is loaded, foretold from and added to; what comes afterwards is there at the next start."""
    file = HistoryFile(folder, HERE, 64 * GB)
    file.path.write_bytes(content)
    runs = file.load()
    assert all(believable(run, 64 * GB) for run in runs)
    predictor = Predictor(runs)
    assert sound(predictor.need_of(FEATURES))
    for run in (RUN, RUN._replace(ram=2 * GB, seconds=3.0), RUN._replace(outcome="memory")):
        file.add(run)
        predictor.learn(run)
        assert sound(predictor.need_of(FEATURES))
    assert RUN in HistoryFile(folder, HERE, 64 * GB).load()
    assert file.problem is None


@FUZZ
@given(content=st.binary(max_size=300) | st.lists(lines | deep, max_size=6))
def test_any_file_of_runs_is_lived_with(tmp_path_factory, content):
    loaded(tmp_path_factory.mktemp("data"), content if isinstance(content, bytes) else "\n".join(content).encode())


@FUZZ
@given(data=st.data())
def test_a_file_of_runs_with_any_bytes_changed_is_lived_with(tmp_path_factory, data):
    content = bytearray("".join(RUN._replace(seconds=float(n)).line() + "\n" for n in range(1, 6)).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(1, 20))] = data.draw(st.binary(max_size=20))
        content = content or bytearray(b"{")
    loaded(tmp_path_factory.mktemp("data"), bytes(content))


@FUZZ
@given(
    runs=st.lists(
        st.builds(
            RUN._replace,
            ram=st.integers(0, 64 * GB),
            vram=st.integers(0, 80 * GB),
            seconds=st.floats(0, 30 * 86400.0),
            sizes=st.tuples(*[st.floats(0, 2.0**55)] * 3),
            share=st.floats(0, 1),
            cold=st.booleans(),
            outcome=st.sampled_from(["ok", "memory", "pressed", "died", "failed"]),
        ),
        max_size=12,
    ),
    asked=st.tuples(*[st.floats(0, 2.0**55)] * 3),
)
def test_from_any_runs_that_can_have_been_a_number_is_foretold(runs, asked):
    predictor = Predictor(runs[: len(runs) // 2])
    features = FEATURES._replace(largest=asked[0], total=asked[1], work=asked[2])
    for run in runs[len(runs) // 2 :]:
        predictor.learn(run)
        assert sound(predictor.need_of(features))
    assert sound(predictor.need_of(features))


@FUZZ
@given(content=st.binary(max_size=200) | values.map(lambda v: json.dumps(v).encode()) | deep)
def test_any_note_of_an_attempt_is_read_or_passed_over(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("data")
    (folder / ATTEMPT).write_bytes(as_bytes(content))
    AttemptNote(folder).left()
    AttemptNote(folder).write("job", RUN)
    assert AttemptNote(folder).left() == ("job", RUN)


@FUZZ
@given(
    content=st.binary(max_size=200)
    | st.dictionaries(st.sampled_from(["pid", "reason", "detail", "peak", "time"]), values | st.just(7)).map(
        lambda v: json.dumps(v).encode()
    )
    | deep
)
def test_any_file_of_ends_is_read_or_passed_over(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("data")
    (folder / EXITS).write_bytes(as_bytes(content))
    found = last_exit(folder, 7)
    assert found is None or isinstance(found.blames_the_job and found.is_of(1.0), bool)


links = st.lists(st.sampled_from(["1", "2", "3", "9"]) | values, min_size=2, max_size=2)
inputs = st.dictionaries(
    st.sampled_from(["width", "height", "length", "batch_size", "steps", "image", "images", "model", "wanted"])
    | st.text(max_size=4),
    links | values | st.sampled_from(["m.safetensors", 2**70, -5]),
    max_size=5,
)
kinds = st.sampled_from(["EmptyImage", "ImageScale", "KSampler", "VAEDecode", "ResourceGateBatchSize", ""]) | values
graphs = st.dictionaries(
    st.sampled_from(["1", "2", "3"]) | st.text(max_size=3),
    st.fixed_dictionaries({"class_type": kinds, "inputs": inputs | values}) | values,
    max_size=5,
)


@FUZZ
@given(graph=graphs, outputs=st.lists(st.sampled_from(["1", "2", "7"]), max_size=3))
def test_of_any_graph_features_are_read_and_a_number_is_foretold(graph, outputs):
    features = features_of(graph, outputs)
    assert all(math.isfinite(size) for size in features.sizes)
    predictor = Predictor()
    assert sound(predictor.need_of(features))
    predictor.learn(RUN._replace(family=features.family, sizes=features.sizes))
    assert sound(predictor.need_of(features))
