"""The panel in a real ComfyUI, in Chromium.

`RESOURCE_GATE_TEST_FRONT_END` may name another frontend's `static` folder.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from resource_gate.batch.local.find_comfyui import find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.live]

SLOW = 30_000
"""Milliseconds for what ComfyUI's page may take on a small machine."""

OTHER_TAB = """
import { app } from "../../scripts/app.js";
app.registerExtension({ name: "other.tab", setup() {
  app.extensionManager.registerSidebarTab({
    id: "other-tab", icon: "pi pi-star", title: "Other", type: "custom",
    render: (element) => {
      const p = document.createElement("p");
      element.append(Object.assign(p, { id: "other", textContent: "other" }));
    },
  });
} });
"""
GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
}


class Comfy:
    """A running ComfyUI and what the tests ask of it."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server

    def ask(self, route: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.server.url}/api{route}", data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            text = response.read()
            return json.loads(text) if text else None

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("/resource_gate/status")
        return found


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    found = find_comfyui()
    assert found.comfyui is not None, found.reason
    front_end = os.environ.get("RESOURCE_GATE_TEST_FRONT_END")
    flags = ("--front-end-root", front_end) if front_end else ()
    base: Path = tmp_path_factory.mktemp("comfyui")
    # A second sidebar tab of somebody else's.
    node = "WEB_DIRECTORY = './web'\nNODE_CLASS_MAPPINGS = {}\n"
    (base / "custom_nodes" / "other-tab" / "web").mkdir(parents=True)
    (base / "custom_nodes" / "other-tab" / "web" / "other.js").write_text(OTHER_TAB, "utf-8")
    with ServerProcess(ServerSpec(found.comfyui, flags=flags, extra_nodes={"other-tab": node}), base) as server:
        yield Comfy(server)


@pytest.fixture
def opened(comfy: Comfy, open_page: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    """Opens ComfyUI with these settings of the user's, and the panel; at the end the gate is open again."""

    def open_(**settings: Any) -> Page:
        wanted = {"Comfy.TutorialCompleted": True, "Comfy.ColorPalette": "dark", "Comfy.Locale": "en"}
        wanted.update({name.replace("_", "."): value for name, value in settings.items()})
        comfy.ask("/settings", wanted)
        page = open_page(comfy.server.url, viewport={"width": 1280, "height": 900})
        page.wait_for_function("window.app?.extensionManager", timeout=SLOW)
        tab(page).wait_for(timeout=SLOW)
        show_panel(page)
        return page

    yield open_
    comfy.ask("/resource_gate/resume", {})


def tab(page: Page, name: str = "resource-gate") -> Locator:
    return page.locator(f'.{name}-tab-button, [data-testid="{name}-tab-button"]').first


def panel(page: Page) -> Locator:
    return page.locator(".resource-gate")


def show_panel(page: Page) -> None:
    """The page restores the tab that was open before; a click would close it."""
    page.wait_for_function("window.app.extensionManager.sidebarTab")
    if page.evaluate("window.app.extensionManager.sidebarTab.activeSidebarTabId") != "resource-gate":
        tab(page).click()
    page.locator('.rg-link[data-link="live"]').wait_for(timeout=SLOW)


def test_the_panel_shows_what_the_server_measures(comfy: Comfy, opened: Callable[..., Page]) -> None:
    page = opened()
    # In the first seconds after the start, disks may come a sample later than the rest.
    wanted = "(n) => document.querySelectorAll('.resource-gate [role=meter]').length === n"
    page.wait_for_function(wanted, arg=len(comfy.status()["resources"]), timeout=SLOW)
    meters = page.locator(".resource-gate [role=meter]")
    status = comfy.status()
    ram = meters.first
    assert ram.get_attribute("aria-label") == "RAM"
    measured = status["resources"]["ram"]["fraction"] * 100
    assert abs(int(ram.get_attribute("aria-valuenow") or -1) - measured) < 15
    assert f"ComfyUI {status['host']['version']}" in (page.locator(".rg-foot").text_content() or "")


def test_readings_are_pushed_while_the_panel_is_open(opened: Callable[..., Page]) -> None:
    page = opened()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "resource_gate/status" in request.url else None)
    page.evaluate(
        """() => {
          window.pushed = 0;
          window.comfyAPI.api.api.addEventListener("resource_gate.status", () => window.pushed++);
        }"""
    )
    page.wait_for_function("window.pushed >= 3", timeout=SLOW)
    assert len(asked) <= 1, "one renewal of the lease at most in three samples"


def test_going_to_other_tabs_and_back_leaves_one_panel_and_nothing_behind(opened: Callable[..., Page]) -> None:
    page = opened()
    for other in ("other-tab", "node-library", "other-tab"):
        tab(page, other).click()
        panel(page).wait_for(state="detached")
        tab(page).click()
        page.locator(".resource-gate .rg-meter").first.wait_for()
        assert panel(page).count() == 1
        assert page.locator("#other").count() == 0
    tab(page).click()
    panel(page).wait_for(state="detached")
    tab(page).click()
    page.locator('.rg-link[data-link="live"]').wait_for()


def test_another_tabs_content_stands_alone_in_the_shared_element(opened: Callable[..., Page]) -> None:
    page = opened()
    tab(page, "other-tab").click()
    page.locator("#other").wait_for()
    panel(page).wait_for(state="detached")
    assert page.locator("#other").evaluate("(one) => one.parentElement.children.length") == 1


def test_a_paused_gate_holds_a_prompt_of_the_api_and_lets_it_go(comfy: Comfy, opened: Callable[..., Page]) -> None:
    page = opened()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.locator(".rg-pill", has_text="Paused").wait_for()
    assert comfy.status()["gate"]["state"] == "paused"
    prompt = comfy.ask("/prompt", {"prompt": GRAPH})["prompt_id"]
    page.locator(".rg-counts", has_text="1 waiting").wait_for()
    assert comfy.ask(f"/history/{prompt}") == {}
    page.get_by_role("button", name="Resume", exact=True).click()
    page.locator(".rg-pill", has_text="Open").wait_for()
    page.locator(".rg-queue", has_text="The last batch is over.").wait_for(timeout=SLOW)
    assert comfy.ask(f"/history/{prompt}")[prompt]["status"]["completed"] is True


def test_the_icon_has_a_badge_while_the_gate_is_paused_even_with_the_panel_closed(
    comfy: Comfy, opened: Callable[..., Page]
) -> None:
    page = opened()
    tab(page).click()
    panel(page).wait_for(state="detached")
    comfy.ask("/resource_gate/pause", {})
    comfy.ask("/prompt", {"prompt": GRAPH})
    tab(page).get_by_text("II", exact=True).wait_for(timeout=SLOW)
    comfy.ask("/resource_gate/resume", {})
    tab(page).get_by_text("II", exact=True).wait_for(state="detached", timeout=SLOW)


def test_freeing_by_the_button_tells_what_came_of_it(opened: Callable[..., Page]) -> None:
    page = opened()
    page.get_by_role("button", name="Free memory", exact=True).click()
    said = page.locator(".rg-free .rg-said[data-ok=true]")
    said.wait_for(timeout=SLOW)
    assert said.text_content()


def test_commands_act_and_tell_by_a_toast(comfy: Comfy, opened: Callable[..., Page]) -> None:
    page = opened()
    for command, toast, state in (("Pause", "The gate is paused.", "paused"), ("Resume", "The gate is open", "open")):
        page.evaluate(f"window.app.extensionManager.command.execute('ResourceGate.{command}')")
        page.get_by_text(toast).first.wait_for()
        assert comfy.status()["gate"]["state"] == state


def test_the_commands_stand_in_the_menu(opened: Callable[..., Page]) -> None:
    page = opened()
    page.locator('.comfy-menu-button-wrapper, [data-testid="comfy-menu-button"]').first.click()
    # A click, not the mouse: until ComfyUI's menu has faded in, it opens nothing for a mouse that is already there.
    page.get_by_text("Extensions", exact=True).first.dispatch_event("click")
    page.locator(':not(h1):text-is("Resource Gate")').last.hover()
    page.get_by_text("Free Memory Now", exact=True).first.wait_for()


def test_the_panel_and_the_nodes_speak_the_language_of_comfyui(opened: Callable[..., Page]) -> None:
    page = opened(Comfy_Locale="zh")
    page.locator(".resource-gate h1", has_text="资源闸门").wait_for()
    assert page.locator(".resource-gate").get_attribute("lang") == "zh"
    names = page.evaluate(
        """["ResourceGate", "ResourceGateFreeMemory"].map((type) => {
          const node = LiteGraph.createNode(type);
          return [node.title, ...node.widgets.map((widget) => widget.label ?? widget.name)];
        })"""
    )
    assert [name[0] for name in names] == ["资源闸门", "释放内存"]
    untranslated = [label for name in names for label in name if label.isascii()]
    assert untranslated == [], "nodeDefs.json does not fit the nodes"


def test_the_panel_follows_the_palette(opened: Callable[..., Page]) -> None:
    def colours(palette: str) -> tuple[str, ...]:
        page = opened(Comfy_ColorPalette=palette)
        found: list[str] = page.locator(".resource-gate").evaluate(
            "(one) => { const s = getComputedStyle(one); return [s.color, s.backgroundColor]; }"
        )
        return tuple(found)

    assert len({colours(palette) for palette in ("dark", "light", "solarized")}) == 3


def test_the_panel_is_a_page_of_its_own_too(comfy: Comfy, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{comfy.server.url}/extensions/resource-gate/page.html")
    page.locator('.rg-link[data-link="live"]').wait_for()
    assert page.locator("[role=meter]").count() == len(comfy.status()["resources"])


def test_a_batch_of_the_api_is_still_there_after_a_reload(comfy: Comfy, opened: Callable[..., Page]) -> None:
    page = opened()
    comfy.ask("/resource_gate/pause", {})
    prompts = [comfy.ask("/prompt", {"prompt": GRAPH})["prompt_id"] for _ in range(3)]
    page.locator(".rg-counts", has_text="3 waiting").wait_for(timeout=SLOW)
    page.reload()
    page.wait_for_function("window.app?.extensionManager", timeout=SLOW)
    show_panel(page)
    page.locator(".rg-counts", has_text="3 waiting").wait_for(timeout=SLOW)
    page.locator(".rg-time").scroll_into_view_if_needed()
    page.locator(".rg-chart path[data-kind=ram]").wait_for(timeout=SLOW)
    page.get_by_role("button", name="Resume", exact=True).click()
    page.locator(".rg-queue", has_text="The last batch is over.").wait_for(timeout=SLOW)
    page.locator(".rg-queue summary").click()
    rows = page.locator(".rg-queue .rg-jobs li", has_text="from the API")
    rows.nth(2).wait_for(timeout=SLOW)
    assert rows.nth(0).locator(".rg-clip").get_attribute("title") in prompts


def test_a_threshold_that_is_moved_acts_at_once(comfy: Comfy, opened: Callable[..., Page]) -> None:
    page = opened()
    try:
        comfy.ask("/resource_gate/settings", {"ram": {"leave": 0.0}})
        page.locator("[data-deed=adjust]").click()
        box = page.get_by_role("textbox", name="RAM: Warning begins at", exact=True)
        box.fill("1")
        box.press("Tab")
        page.locator(".rg-word", has_text="Warning").wait_for(timeout=SLOW)
        page.locator('.resource-gate-entry[data-rg-level="warning"]', has_text="Warning").wait_for(timeout=SLOW)
        tab(page).get_by_text("!", exact=True).wait_for(timeout=SLOW)
        assert comfy.status()["resources"]["ram"]["tiers"]["warning"] == 0.01
    finally:
        comfy.ask("/resource_gate/settings/reset", {})
    page.locator(".rg-word", has_text="Normal").wait_for(timeout=SLOW)


def test_a_refused_threshold_is_told_and_the_old_one_stays(comfy: Comfy, opened: Callable[..., Page]) -> None:
    page = opened()
    page.locator("[data-deed=adjust]").click()
    box = page.get_by_role("textbox", name="RAM: Warning begins at", exact=True)
    box.fill("3")
    box.press("Tab")
    page.locator(".rg-meters .rg-said[data-ok=false]", has_text="leave must be smaller").wait_for(timeout=SLOW)
    assert comfy.status()["resources"]["ram"]["tiers"]["warning"] == 0.85


def test_a_reset_of_all_settings_asks_in_a_dialog_of_comfyuis(comfy: Comfy, opened: Callable[..., Page]) -> None:
    comfy.ask("/resource_gate/settings", {"gate": {"wait": 31.0}})
    try:
        page = opened()
        page.locator(".rg-settings summary").click()
        reset, dialog = page.get_by_role("button", name="Reset all"), page.get_by_role("dialog")
        reset.click()
        dialog.get_by_text("Gate, Seconds a prompt waits at most: 31 → 30").wait_for(timeout=SLOW)
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached", timeout=SLOW)
        assert comfy.ask("/resource_gate/settings")["settings"]["gate"]["wait"] == 31.0
        reset.click()
        dialog.get_by_role("button", name="Confirm").click()
        page.locator(".rg-settings .rg-said", has_text="back at their defaults").wait_for(timeout=SLOW)
        assert comfy.ask("/resource_gate/settings")["settings"]["gate"]["wait"] == 30.0
    finally:
        comfy.ask("/resource_gate/settings/reset", {})


def test_the_panel_opens_by_its_keys_and_by_the_entry_beside_run(comfy: Comfy, opened: Callable[..., Page]) -> None:
    page = opened()
    entry = page.locator(".resource-gate-entry")
    page.locator('.resource-gate-entry[data-rg-level="normal"]', has_text="Normal").wait_for(timeout=SLOW)
    entry.click()
    panel(page).wait_for(state="detached")
    page.keyboard.press("Alt+Shift+G")
    panel(page).wait_for(timeout=SLOW)
    page.evaluate("window.app.extensionManager.setting.set('ResourceGate.Entry', false)")
    entry.wait_for(state="hidden")
    page.evaluate("window.app.extensionManager.setting.set('ResourceGate.Entry', true)")
    entry.wait_for()


def test_after_a_kill_the_panel_finds_back_and_restores_what_was_left(
    comfy: Comfy, opened: Callable[..., Page]
) -> None:
    page = opened()
    comfy.ask("/resource_gate/pause", {})
    prompts = [comfy.ask("/prompt", {"prompt": GRAPH})["prompt_id"] for _ in range(2)]
    page.locator(".rg-counts", has_text="2 waiting").wait_for(timeout=SLOW)
    comfy.server.kill()
    page.locator(".rg-notice", has_text="does not answer").wait_for(timeout=SLOW)
    comfy.server.start()
    page.locator('.rg-link[data-link="live"]').wait_for(timeout=SLOW)
    assert page.locator(".rg-notice").count() == 0
    restore = page.locator(".rg-restore")
    restore.locator("input[type=checkbox]").nth(1).wait_for(timeout=SLOW)
    restore.get_by_role("button", name="Restore 2 jobs").click()
    page.locator(".rg-queue", has_text="The last batch is over.").wait_for(timeout=SLOW)
    for prompt in prompts:
        assert comfy.ask(f"/history/{prompt}")[prompt]["status"]["completed"] is True


RUN_NODES = """async ([wait, color]) => {
  const { app, LiteGraph } = window;
  app.graph.clear();
  const types = ["EmptyImage", "ResourceGate", "ResourceGateFreeMemory", "PreviewImage"];
  const nodes = types.map((type, at) => {
    const node = LiteGraph.createNode(type);
    node.pos = [380 * at - 360, 40];
    app.graph.add(node);
    return node;
  });
  nodes.forEach((node, at) => at && nodes[at - 1].connect(0, node, 0));
  const set = (node, values) => node.widgets.forEach((one) => one.name in values && (one.value = values[one.name]));
  set(nodes[0], { width: 64, height: 64, color });
  set(nodes[1], { ram_percent: 1, wait_seconds: wait });
  app.canvas.ds.scale = 0.6;
  app.canvas.setDirty(true, true);
  await app.queuePrompt(0, 1);
  return nodes.slice(1, 3).map((node) => String(node.id));
}"""


@pytest.mark.parametrize("vue", [False, True], ids=["canvas", "nodes 2.0"])
def test_the_nodes_tell_on_themselves_what_they_wait_for_and_what_came_of_it(
    opened: Callable[..., Page], vue: bool
) -> None:
    page = opened(Comfy_VueNodes_Enabled=vue)
    # A colour of its own for each: a graph that ComfyUI has in its cache runs no node.
    gate, free = page.evaluate(RUN_NODES, [4, int(vue)])

    def told(node: str, words: str) -> None:
        """On the node itself where it is an element, else by its widget, and on the page in either case."""
        if vue:
            page.locator(f'[data-node-id="{node}"]', has_text=words).first.wait_for(timeout=SLOW)
        else:
            has = "([id, words]) => app.graph.getNodeById(id).widgets.some((one) => `${one.value}`.includes(words))"
            page.wait_for_function(has, arg=[node, words], timeout=SLOW)
            page.get_by_text(words).first.wait_for(timeout=SLOW)

    told(gate, "of 4 s: RAM is at")
    told(gate, "went on after 4 s: RAM is at")
    told(free, "freed")
