"""Over HTTP and WebSocket it answers where, and as, ComfyUI does."""

from __future__ import annotations

import asyncio
import uuid

import aiohttp
import pytest

from resource_gate.host.embedded_server import EmbeddedServer


@pytest.fixture
async def server(host, tmp_path):
    package = tmp_path / "package"
    for name, text in {
        "web/page.html": "<p>the page</p>",
        "web/resource_gate.js": "export {}",
        "secret.txt": "secret",
        "locales/en/main.json": '{"resourceGate": {"title": "T"}}',
        "locales/en/settings.json": '{"a": 1}',
        "locales/zh/main.json": "not json",
    }.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    server = EmbeddedServer(host, package)

    @host.routes.get("/resource_gate/ping")
    async def ping(request):
        return aiohttp.web.json_response("pong")

    server.port = await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http(server):
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session


async def submitted(http, graph, **more):
    async with http.post("/prompt", json={"prompt": graph, **more}) as answer:
        assert answer.status == 200
        return await answer.json()


async def ended(http, prompt_id):
    for _ in range(3000):
        async with http.get(f"/history/{prompt_id}") as answer:
            found = await answer.json()
        if found:
            return found[prompt_id]
        await asyncio.sleep(0.01)
    raise AssertionError("it never ended")


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_clip_goes_in_as_a_graph_and_comes_out_as_a_file(http, clip, prefix):
    prompt_id = str(uuid.uuid4())
    async with http.post(f"{prefix}/prompt", json={"prompt": clip(), "prompt_id": prompt_id}) as answer:
        assert await answer.json() == {"prompt_id": prompt_id, "number": 0, "node_errors": {}}
    entry = await ended(http, prompt_id)
    image = entry["outputs"]["4"]["images"][0]
    async with http.get(f"{prefix}/view", params=image) as answer:
        assert (answer.status, answer.content_type) == (200, "video/mp4")
        assert b"ftyp" in (await answer.read())[:16]


async def test_the_queue_is_shown_as_tuples_and_prompts_can_be_taken_out(http, host, hold, until):
    graph = {"1": {"class_type": "Hold", "inputs": {}}}
    running = await submitted(http, graph)
    await asyncio.to_thread(until, hold.entered.is_set)
    first, second, third = [await submitted(http, graph) for _ in range(3)]
    async with http.get("/queue") as answer:
        shown = await answer.json()
    assert [i[1] for i in shown["queue_running"]] == [running["prompt_id"]]
    assert [i[1] for i in shown["queue_pending"]] == [p["prompt_id"] for p in (first, second, third)]
    number, _, known, extra, targets = shown["queue_pending"][0]
    assert (number, known, targets) == (first["number"], graph, ["1"])
    assert extra["create_time"] > 0
    async with http.get("/prompt") as answer:
        assert await answer.json() == {"exec_info": {"queue_remaining": 4}}
    await http.post("/queue", json={"delete": [second["prompt_id"]]})
    assert [i.id for i in host.queue.snapshot()[1]] == [first["prompt_id"], third["prompt_id"]]
    await http.post("/queue", json={"clear": True})
    assert host.queue.snapshot()[1] == []
    await http.post("/interrupt", json={"prompt_id": first["prompt_id"]})
    assert not host.queue.interrupted.is_set()
    await http.post("/interrupt")
    entry = await ended(http, running["prompt_id"])
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"


async def test_the_history_is_cut_by_max_items_and_forgets_on_request(http, clip):
    ids = [(await submitted(http, clip(color=i, frames=1)))["prompt_id"] for i in range(3)]
    await ended(http, ids[-1])
    async with http.get("/history", params={"max_items": 2}) as answer:
        assert list(await answer.json()) == ids[1:]
    await http.post("/history", json={"delete": [ids[2]]})
    async with http.get("/history") as answer:
        assert list(await answer.json()) == ids[:2]
    await http.post("/history", json={"clear": True})
    async with http.get("/history") as answer:
        assert await answer.json() == {}
    async with http.get("/history", params={"max_items": "many"}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        b"{}",
        b'{"prompt": null}',
        b'{"prompt": {"1": {"class_type": "NoSuchNode", "inputs": {}}}}',
        b'{"prompt": {}, "number": "first"}',
        b'{"prompt": {}, "number": NaN}',
        b'{"prompt": {}, "extra_data": []}',
        b'{"prompt": {}, "client_id": {}}',
        b'{"prompt": {"1": {"class_type": "Hold", "inputs": {}}}, "prompt_id": "me"}',
        b'{"prompt": {"1": {"class_type": "Hold", "inputs": {}}}, "partial_execution_targets": 1}',
    ],
)
async def test_a_bad_prompt_is_answered_with_comfyuis_error_shape(http, host, body):
    async with http.post("/prompt", data=body, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 400
        told = await answer.json()
    assert set(told) == {"error", "node_errors"}
    assert set(told["error"]) == {"type", "message", "details", "extra_info"}
    assert host.queue.remaining == 0


async def test_a_wrong_value_is_named_by_its_node(http, clip):
    graph = clip()
    graph["1"]["inputs"]["width"] = -1
    async with http.post("/prompt", json={"prompt": graph}) as answer:
        assert answer.status == 400
        told = await answer.json()
    assert told["error"]["type"] == "prompt_outputs_failed_validation"
    assert told["node_errors"]["1"]["errors"][0]["type"] == "value_smaller_than_min"


@pytest.mark.parametrize("route", ["/queue", "/history"])
@pytest.mark.parametrize("body", [{"delete": "all"}, {"delete": [1]}, {"delete": {}, "clear": False}, []])
async def test_a_bad_list_of_ids_is_refused_or_does_nothing(http, host, hold, until, route, body):
    host.submit({"1": {"class_type": "Hold", "inputs": {}}})
    await asyncio.to_thread(until, hold.entered.is_set)
    host.submit({"1": {"class_type": "Hold", "inputs": {"tag": 1}}})
    async with http.post(route, json=body) as answer:
        assert answer.status == (200 if body == {"delete": {}, "clear": False} else 400)
    assert host.queue.remaining == 2


async def read_until(socket, last):
    told = []
    while not told or not last(told[-1]):
        told.append(await socket.receive_json(timeout=30.0))
    return told


def remaining(event):
    return event["data"].get("status", {}).get("exec_info", {}).get("queue_remaining")


def is_end(event):
    return event["type"] == "executing" and event["data"]["node"] is None


async def test_the_socket_tells_a_prompt_from_start_to_end_in_comfyuis_order(http, clip):
    async with http.ws_connect("/ws?clientId=me") as socket:
        prompt_id = (await submitted(http, clip(), client_id="me"))["prompt_id"]
        told = await read_until(socket, is_end)
    assert told[0] == {
        "type": "status",
        "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "me"},
    }
    types = [t["type"] for t in told if t["type"] not in ("status", "progress", "progress_state")]
    assert types == [
        "execution_start",
        "execution_cached",
        *["executing"] * 4,
        "executed",
        "execution_success",
        "executing",
    ]
    assert all(t["data"]["prompt_id"] == prompt_id for t in told if t["type"] != "status")
    executed = next(t["data"] for t in told if t["type"] == "executed")
    assert (executed["node"], executed["output"]["images"][0]["type"]) == ("4", "output")
    progress = [t["data"] for t in told if t["type"] == "progress"]
    assert {p["node"] for p in progress} == {"2", "4"}
    assert all(0 <= p["value"] <= p["max"] == 5 for p in progress)


async def test_a_failure_and_a_cached_re_run_are_told(http, clip):
    bad = clip(prefix="../out")
    async with http.ws_connect("/ws?clientId=me") as socket:
        await submitted(http, bad, client_id="me")
        told = await read_until(socket, is_end)
        error = next(t["data"] for t in told if t["type"] == "execution_error")
        assert (error["node_id"], error["node_type"]) == ("4", "SaveVideo")
        await submitted(http, clip(), client_id="me")
        await read_until(socket, is_end)
        await submitted(http, clip(), client_id="me")
        told = await read_until(socket, is_end)
    cached = next(t["data"] for t in told if t["type"] == "execution_cached")
    assert sorted(cached["nodes"]) == ["1", "2", "3", "4"]
    assert [t["type"] for t in told if t["type"] in ("executing", "executed")] == ["executed", "executing"]


async def test_a_prompt_is_told_to_its_own_client_and_the_queue_to_all(http, clip):
    async with http.ws_connect("/ws?clientId=other") as other, http.ws_connect("/ws?clientId=me") as mine:
        prompt_id = (await submitted(http, clip(), client_id="me"))["prompt_id"]
        await read_until(mine, is_end)
        await ended(http, prompt_id)
        seen = await read_until(other, lambda t: remaining(t) == 1)
        seen += await read_until(other, lambda t: remaining(t) == 0)
    assert {t["type"] for t in seen} == {"status"}


async def test_an_event_of_ours_reaches_one_client_or_all(http, host):
    async with http.ws_connect("/ws?clientId=a") as a, http.ws_connect("/ws?clientId=b") as b:
        host.push("resource_gate.status", {"for": "b"}, "b")
        host.push("resource_gate.action", {"for": "all"})
        for socket, expected in ((a, ["all"]), (b, ["b", "all"])):
            told = await read_until(socket, lambda t: t["type"] == "resource_gate.action")
            assert [t["data"]["for"] for t in told if t["type"] != "status"] == expected


async def test_a_client_that_connects_again_hears_where_its_prompt_is(http, host, hold, until):
    host.submit({"1": {"class_type": "Hold", "inputs": {}}}, client_id="me")
    await asyncio.to_thread(until, hold.entered.is_set)
    async with http.ws_connect("/ws?clientId=me") as first, http.ws_connect("/ws?clientId=me") as second:
        told = await read_until(second, lambda t: t["type"] == "executing")
        assert told[-1]["data"]["node"] == "1"
        async for _ in first:
            pass
        assert first.closed, "the first connection of the same client was closed"


async def test_what_a_socket_says_is_answered_or_ignored(http):
    async with http.ws_connect("/ws") as socket:
        await socket.send_str("not json")
        await socket.send_str("[1, 2]")
        await socket.send_bytes(b"\0")
        await socket.send_json({"type": "feature_flags", "data": {}})
        told = await read_until(socket, lambda t: t["type"] == "feature_flags")
    assert len(told[0]["data"]["sid"]) == 32


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 404),
        ({"filename": "none.mp4"}, 404),
        ({"filename": "kept.txt"}, 200),
        ({"filename": "kept.txt", "subfolder": "sub"}, 404),
        ({"filename": "../../secret.txt"}, 403),
        ({"filename": "kept.txt", "subfolder": "../output"}, 200),
        ({"filename": "secret.txt", "subfolder": ".."}, 403),
        ({"filename": "secret.txt", "subfolder": "..\\"}, 403),
        ({"filename": "/etc/passwd"}, 403),
        ({"filename": "link.txt"}, 403),
        ({"filename": "."}, 403),
        ({"filename": "a\0b"}, 403),
        ({"filename": "kept.txt", "type": "user"}, 400),
        ({"filename": "kept.txt", "type": "temp"}, 404),
    ],
)
async def test_only_files_inside_the_folders_are_shown(http, host, query, status):
    (host.folders.base / "secret.txt").write_text("secret")
    (host.output_folder / "kept.txt").write_text("kept")
    (host.output_folder / "link.txt").symlink_to(host.folders.base / "secret.txt")
    async with http.get("/view", params=query) as answer:
        assert answer.status == status
        assert b"secret" not in await answer.read()


async def test_a_file_of_a_user_is_never_run_by_the_browser(http, host):
    (host.output_folder / "evil.html").write_text("<script>1</script>")
    async with http.get("/view", params={"filename": "evil.html"}) as answer:
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_the_panel_and_the_texts_are_served(http):
    async with http.get("/") as answer:
        assert (answer.content_type, await answer.text()) == ("text/html", "<p>the page</p>")
    async with http.get("/extensions") as answer:
        assert await answer.json() == ["/extensions/resource-gate/resource_gate.js"]
    async with http.get("/extensions/resource-gate/resource_gate.js") as answer:
        assert (answer.content_type, await answer.text()) == ("text/javascript", "export {}")
    async with http.get("/extensions/resource-gate/%2e%2e%2fsecret.txt") as answer:
        assert answer.status == 403
    async with http.get("/extensions/resource-gate/none.js") as answer:
        assert answer.status == 404
    async with http.get("/i18n") as answer:
        assert await answer.json() == {"en": {"resourceGate": {"title": "T"}, "settings": {"a": 1}}}


async def test_routes_of_others_are_served_plain_and_under_api(http):
    for path in ("/resource_gate/ping", "/api/resource_gate/ping"):
        async with http.get(path) as answer:
            assert await answer.json() == "pong"


async def test_the_kinds_of_nodes_are_described_as_comfyui_describes_them(http):
    async with http.get("/object_info") as answer:
        info = await answer.json()
    assert {"EmptyImage", "ImageScale", "CreateVideo", "SaveVideo", "PreviewImage", "Hold"} <= set(info)
    scale = info["ImageScale"]
    assert scale["input"]["required"]["image"] == ["IMAGE", {}]
    assert "bilinear" in scale["input"]["required"]["upscale_method"][0]
    assert scale["input_order"]["required"] == ["image", "upscale_method", "width", "height", "crop"]
    assert (scale["output"], scale["output_node"], info["SaveVideo"]["output_node"]) == (["IMAGE"], False, True)
    async with http.get("/object_info/SaveVideo") as answer:
        assert list(await answer.json()) == ["SaveVideo"]
    async with http.get("/object_info/NoSuchNode") as answer:
        assert await answer.json() == {}


async def test_system_stats_say_that_there_is_no_comfyui(http):
    async with http.get("/system_stats") as answer:
        told = await answer.json()
    assert told["devices"] == []
    assert told["system"]["comfyui_version"] is None
    assert 0 < told["system"]["ram_free"] <= told["system"]["ram_total"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_a_page_of_another_site_cannot_queue_anything(http, host, clip, headers, status):
    async with http.post("/prompt", json={"prompt": clip()}, headers=headers) as answer:
        assert answer.status == status


async def test_a_page_of_its_own_origin_may_queue(http, server, clip):
    headers = {"Origin": f"http://127.0.0.1:{server.port}"}
    async with http.post("/prompt", json={"prompt": clip()}, headers=headers) as answer:
        assert answer.status == 200
