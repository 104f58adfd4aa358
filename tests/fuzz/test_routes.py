"""Whatever is sent to a route: an answer in JSON that says what was wrong, no error of ours, and all stays in order."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resource_gate.settings import Settings

FUZZ = settings.get_profile("fuzz")

OURS = "/resource_gate/"
FIELDS = sorted(
    {
        "level",
        "goal_bytes",
        "ids",
        "id",
        "discard",
        "since",
        "points",
        "limit",
        "before",
        "watch",
        "dry_run",
        "fields",
        "outputs",
    }
)
QUEUE_FIELDS = ["prompt", "client_id", "prompt_id", "number", "front", "extra_data", "clear", "delete"]
WORDS = st.sampled_from(
    ["warning", "critical", "emergency", "", "../../etc/passwd", "\ud800", "a\x00b", "NaN", "1e999"]
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**62, max_value=2**70)
    | st.floats()
    | WORDS
    | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
near = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), values, max_size=4)
sections = {name: sorted(field.annotation.model_fields) for name, field in Settings.model_fields.items()}
settings_change = st.dictionaries(
    st.sampled_from(sorted(sections)) | st.text(max_size=5),
    st.dictionaries(st.sampled_from(sorted({f for fs in sections.values() for f in fs})), scalars, max_size=3) | values,
    max_size=3,
)
graphs = st.dictionaries(
    st.text(max_size=3),
    values
    | st.fixed_dictionaries(
        {
            "class_type": st.sampled_from(["EmptyImage", "ResourceGate", "SaveImage", "", "No"]) | values,
            "inputs": st.dictionaries(st.text(max_size=4), values | st.lists(scalars, max_size=3), max_size=3) | values,
        }
    ),
    max_size=3,
)


def checked(answer, path):
    assert answer.status < 500, (path, answer)
    if answer.status >= 400 and answer.status not in (404, 405):
        assert answer.value["error"], (path, answer)
    return answer


def test_every_route_of_ours_is_known_to_the_fuzzer(served):
    assert len(served.paths) >= 12
    assert all(f"{path}/".startswith(OURS) and method in ("GET", "POST") for method, path in served.paths)


@FUZZ
@given(data=st.data())
def test_a_post_of_any_json_is_answered(served, data):
    path = data.draw(st.sampled_from([p for m, p in served.paths if m == "POST"]))
    fitting = {"settings": settings_change, "predictions": st.fixed_dictionaries({"prompt": graphs})}
    body = data.draw(near | fitting.get(path.rpartition("/")[2], values))
    answer = checked(served.post(path, body), path)
    assert answer.status in (200, 400, 409)
    if answer.status == 400:
        assert answer.value["error"]["message"]


@FUZZ
@given(change=settings_change)
def test_settings_are_taken_whole_or_not_at_all(served, change):
    before = served.extension.settings
    answer = checked(served.post(OURS + "settings", change), "settings")
    if answer.status == 200:
        assert answer.value["settings"] == served.extension.settings.model_dump()
        assert Settings.model_validate(served.extension.settings.model_dump())
    else:
        assert served.extension.settings == before
        assert all(row["field"] and row["problem"] for row in answer.value["error"]["fields"])


@FUZZ
@given(
    data=st.data(), body=st.binary(max_size=200), kind=st.sampled_from(["application/json", "text/plain", "", "a/b"])
)
def test_a_post_of_any_bytes_and_type_is_answered_and_does_nothing_but_for_json(served, data, body, kind):
    path = data.draw(st.sampled_from([p for m, p in served.paths if m == "POST"]))
    answer = checked(served.ask("POST", path, body, {"Content-Type": kind} if kind else {}), path)
    if kind != "application/json":
        assert answer.status == 400


@FUZZ
@given(data=st.data(), query=st.dictionaries(st.sampled_from(FIELDS), scalars, max_size=3))
def test_a_get_with_any_query_is_answered(served, data, query):
    path = data.draw(st.sampled_from([p for m, p in served.paths if m == "GET"]))
    text = "&".join(f"{k}={quote(str(v).encode('utf-8', 'surrogatepass'))}" for k, v in query.items())
    checked(served.ask("GET", f"{path}?{text}"), path)


@pytest.mark.parametrize("depth", [100, 5_000, 30_000])
def test_deeply_nested_json_is_refused(served, depth):
    for _, path in [p for p in served.paths if p[0] == "POST"]:
        body = b"[" * depth + b"]" * depth
        assert checked(served.ask("POST", path, body, {"Content-Type": "application/json"}), path).status == 400


@pytest.mark.parametrize("size", [64 * 1024 + 1, 3 * 1024 * 1024])
def test_a_large_body_is_refused(served, size):
    for _, path in [p for p in served.paths if p[0] == "POST"]:
        body = b'{"level": "' + b"x" * size + b'"}'
        assert checked(served.ask("POST", path, body, {"Content-Type": "application/json"}), path).status == 400


@FUZZ
@given(data=st.data())
def test_the_embedded_queue_answers_any_request(served, data):
    path = data.draw(st.sampled_from(["/prompt", "/queue", "/history", "/interrupt"]))
    body = st.dictionaries(st.sampled_from(QUEUE_FIELDS), values | graphs, max_size=5)
    checked(served.post(path, data.draw(body | values)), path)


@FUZZ
@given(graph=graphs)
def test_any_graph_is_queued_or_refused_with_its_reason(served, graph):
    answer = checked(served.post("/prompt", {"prompt": graph}), "/prompt")
    assert answer.status in (200, 400)
    served.post("/queue", {"clear": True})


@FUZZ
@given(name=st.text(max_size=30) | WORDS, folder=WORDS | st.text(max_size=10), kind=WORDS | st.sampled_from(["output"]))
def test_no_name_leads_out_of_the_folders(served, name, folder, kind):
    def told(text):
        return quote(text.encode("utf-8", "surrogatepass"), safe="/.")

    served.host.folders.output.mkdir(parents=True, exist_ok=True)
    answer = served.ask("GET", f"/view?filename={told(name)}&subfolder={told(folder)}&type={told(kind)}")
    assert answer.status in (400, 403, 404), answer


def test_after_all_that_it_still_serves_and_the_settings_are_sound(served):
    assert served.ask("GET", OURS + "status").value["resources"]["ram"]["limit"] > 0
    assert Settings.model_validate(served.ask("GET", OURS + "settings").value["settings"])
    assert served.host.degraded() == {}
