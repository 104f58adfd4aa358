"""The panel on a page of its own, in Chromium, against a server whose status the test sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

GIB = 1024**3
STATES = ("idle", "running", "waiting", "warning", "emergency", "paused", "degraded", "done", "quarantined", "left")
Open = Callable[..., Any]

CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const ground = (element) => {
    const chain = [];
    for (let at = element; at; at = at.parentElement) chain.unshift(rgba(getComputedStyle(at).backgroundColor));
    return chain.reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const texts = [...document.querySelectorAll(".resource-gate *")].filter(
    (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && one.getClientRects().length,
  );
  return texts.map((one) => {
    const below = ground(one);
    const [a, b] = [light(over(rgba(getComputedStyle(one).color), below)), light(below)];
    return [one.textContent, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
}"""


@pytest.fixture
def show(status_server: Any, open_page: Open, example_status: Callable[[str], Any]) -> Iterator[Callable[..., Page]]:
    """Opens the page on a server in one of the states; options as for a Playwright context."""

    def show_(state: str, query: str = "", **options: Any) -> Page:
        status_server.status = example_status(state)
        page: Page = open_page(status_server.url + query, **options)
        page.locator('.rg-link[data-link="live"]').wait_for()
        page.locator(".rg-meter").first.wait_for(state="attached")
        return page

    yield show_


def unfold(page: Page) -> None:
    """Open all that is folded, and wait for what is asked for then."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.locator(".rg-field").nth(40).wait_for()
    page.locator(".rg-log li").first.wait_for()


def text(page: Page, selector: str) -> str:
    return (page.locator(selector).first.text_content() or "").replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("state", "level", "gate", "why"),
    [
        ("idle", "Normal", "Open", "Enough room. The fullest is Disk, at 44%."),
        ("running", "Normal", "Open", "Enough room. The fullest is VRAM, at 82%."),
        ("waiting", "Warning", "Waiting", "RAM is at 87% of its limit, 4.1 GB left."),
        ("warning", "Warning", "Open", "RAM is at 87% of its limit, 4.1 GB left."),
        ("emergency", "Emergency", "Open", "RAM is at 97% of its limit, 1.0 GB left. Also high: VRAM."),
        ("paused", "Normal", "Paused", "Enough room. The fullest is VRAM, at 82%."),
        ("degraded", "Normal", "Open", "Enough room. The fullest is Disk, at 44%."),
        ("done", "Normal", "Open", "Enough room. The fullest is Disk, at 44%."),
        ("quarantined", "Normal", "Open", "Enough room. The fullest is VRAM, at 82%."),
    ],
)
def test_each_state_is_told_in_words(show: Open, state: str, level: str, gate: str, why: str) -> None:
    page = show(state)
    assert text(page, ".rg-word") == level
    assert text(page, ".rg-gate .rg-pill") == gate
    assert text(page, ".rg-why") == why


def test_what_is_degraded_is_listed_and_a_dead_worker_is_told(show: Open) -> None:
    page = show("degraded")
    assert "brake: this ComfyUI has no hook before each node" in text(page, ".rg-limits")
    assert "Cannot read nvml: the driver did not answer within 2 s" in text(page, ".rg-limits")
    assert "The thread that runs prompts has ended" in text(page, ".rg-notices")


def test_a_pushed_status_changes_the_page_without_another_request(
    show: Open, status_server: Any, example_status: Callable[[str], Any]
) -> None:
    page = show("idle")
    asked = len(status_server.asked("GET /resource_gate/status"))
    assert status_server.push(example_status("emergency")) == 1
    page.locator(".rg-word", has_text="Emergency").wait_for()
    assert page.locator(".rg-meter").first.get_attribute("aria-valuenow") == "97"
    assert len(status_server.asked("GET /resource_gate/status")) == asked


def test_the_lease_is_for_the_client_of_the_web_socket(show: Open, status_server: Any) -> None:
    show("idle")
    (watch,) = set(status_server.asked("GET /resource_gate/status"))
    (socket,) = status_server.asked("GET /ws")
    assert watch.split("watch=")[1] == socket.split("clientId=")[1]


def test_the_page_finds_back_by_itself_after_the_server_was_away(show: Open, status_server: Any) -> None:
    page = show("idle")
    status_server.stop()
    page.locator(".rg-notice", has_text="does not answer").wait_for()
    assert text(page, ".rg-link") == "Reconnecting"
    assert page.locator(".rg-meter").count() == 4, "the last readings stay"
    status_server.status["level"] = "warning"
    status_server.start()
    page.locator('.rg-link[data-link="live"]').wait_for()
    assert text(page, ".rg-word") == "Warning"
    assert page.locator(".rg-notice").count() == 0


def test_a_server_without_our_part_is_told(open_page: Open, status_server: Any) -> None:
    status_server.missing = True
    page = open_page(status_server.url)
    page.locator(".rg-notice", has_text="is not loaded").wait_for()
    assert text(page, ".rg-link") == "Not loaded"


def test_another_version_is_told(show: Open, status_server: Any, example_status: Callable[[str], Any]) -> None:
    page = show("idle")
    status_server.push({**example_status("idle"), "version": "0.0.1"})
    page.locator(".rg-notice", has_text="The server part is version 0.0.1").wait_for()


def test_pause_and_resume_go_to_the_server_and_come_back_as_the_state(show: Open, status_server: Any) -> None:
    page = show("idle")
    page.get_by_role("button", name="Pause").click()
    page.locator(".rg-pill", has_text="Paused").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.locator(".rg-pill", has_text="Open").wait_for()
    assert status_server.bodies == [("pause", {}), ("resume", {})]


def test_freeing_tells_what_came_of_it(show: Open, status_server: Any) -> None:
    page = show("running")
    page.get_by_role("button", name="Free memory").click()
    page.locator(".rg-said", has_text="Freed 1.5").wait_for()
    assert status_server.bodies == [("free", {"level": "critical"})]


def test_a_refusal_is_shown_in_the_servers_words(show: Open, status_server: Any) -> None:
    status_server.refusal = {"message": "nothing was done", "fields": [{"field": "level", "problem": "unknown"}]}
    page = show("running")
    page.get_by_role("button", name="Free memory").click()
    page.locator(".rg-said[data-ok=false]", has_text="nothing was done; level: unknown").wait_for()


def test_all_of_it_can_be_used_by_keyboard(show: Open, status_server: Any) -> None:
    page = show("running")
    unfold(page)
    page.locator("[data-deed=adjust]").click()
    page.locator(".rg-handle").first.wait_for()
    # Radio buttons of a group are one stop; what is hidden is none.
    stops = """[...document.querySelector(".resource-gate")
        .querySelectorAll("button, summary, input, select, a[href], [tabindex='0']")]
        .filter((one) => one.checkVisibility() && (one.type !== "radio" || one.checked))"""
    expected = page.evaluate(f"{stops}.length")
    page.evaluate("document.activeElement.blur(); window.reached = new Set()")
    invisible = []
    for _ in range(expected + 5):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const one = document.activeElement;
              if (!one.closest(".resource-gate")) return true;
              window.reached.add(one);
              const shown = (element) => element && getComputedStyle(element).outlineStyle !== "none";
              return shown(one) || shown(one.nextElementSibling) || one.outerHTML.slice(0, 80);
            }"""
        )
        if seen is not True:
            invisible.append(seen)
    assert invisible == [], "the focus cannot be seen there"
    missed = page.evaluate(
        f"{stops}.filter((one) => !window.reached.has(one)).map((one) => one.outerHTML.slice(0, 80))"
    )
    assert (expected > 40, missed) == (True, [])


def test_a_button_keeps_the_focus_while_it_works(show: Open) -> None:
    page = show("running")
    page.locator("[data-deed=free]").focus()
    page.keyboard.press("Enter")
    page.locator(".rg-said", has_text="Freed").wait_for()
    assert page.evaluate("document.activeElement.textContent").strip() == "Free memory"


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_cut_off_at_any_width_of_the_sidebar(show: Open, state: str) -> None:
    page = show(state)
    unfold(page)
    page.locator("[data-deed=adjust]").click()
    for width in (280, 312, 480, 575, 576, 710):
        page.set_viewport_size({"width": width, "height": 900})
        # The time line is measured when the frame is drawn, and drawn anew in the next one.
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        # Where a long name may end in an ellipsis, it says so by its class.
        wide = page.evaluate(
            """[...document.querySelectorAll(".resource-gate, .resource-gate *:not(.rg-clip, svg *)")]
               .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline")
               .map((one) => one.className)"""
        )
        assert (width, wide) == (width, [])
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_wide_panel_has_two_columns_and_a_narrow_one_has_one(show: Open) -> None:
    def left_edges(width: int) -> set[float]:
        page = show("running", viewport={"width": width, "height": 900})
        boxes = [page.locator(f".rg-{name}").first.bounding_box() for name in ("gate", "meters")]
        return {box["x"] for box in boxes if box}

    assert len(left_edges(312)) == 1
    assert len(left_edges(710)) == 2


@pytest.mark.parametrize("state", STATES)
def test_every_text_stands_out_from_its_ground(show: Open, state: str) -> None:
    """WCAG 2 AA: 4.5 to 1 for text of this size."""
    page = show(state, reduced_motion="reduce")
    unfold(page)
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        found = page.evaluate(CONTRASTS)
        assert len(found) > 15
        assert [(theme, words, round(ratio, 2)) for words, ratio in found if ratio < 4.5] == []


def test_nothing_moves_for_who_wants_no_motion(show: Open, status_server: Any) -> None:
    page = show("running", reduced_motion="reduce")
    status_server.stop()
    page.locator('.rg-link[data-link="lost"]').wait_for()
    assert page.evaluate("document.getAnimations().length") == 0


def test_a_level_is_announced_only_when_it_changes(
    show: Open, status_server: Any, example_status: Callable[[str], Any]
) -> None:
    page = show("idle")
    page.evaluate(
        """() => {
          window.said = [];
          new MutationObserver(() => window.said.push(document.querySelector(".rg-word").textContent))
            .observe(document.querySelector(".rg-word"), { childList: true, characterData: true, subtree: true });
        }"""
    )
    # Each is seen before the next one comes: of those that come faster only the newest is read.
    told = {"idle": "Normal", "running": "Normal", "warning": "Warning", "emergency": "Emergency"}
    for state in ("idle", "running", "warning", "warning", "emergency"):
        status_server.push(example_status(state))
        page.wait_for_timeout(400)
        page.locator(".rg-word", has_text=told[state]).wait_for()
    assert page.evaluate("window.said") == ["Warning", "Emergency"]


def test_the_page_is_chinese_for_who_reads_chinese(show: Open) -> None:
    page = show("waiting", locale="zh-CN")
    page.locator(".rg-word", has_text="注意").wait_for()
    assert text(page, ".rg-gate .rg-pill") == "等待中"
    assert page.locator(".resource-gate").get_attribute("lang") == "zh-CN"
    assert text(page, ".rg-reason") == "内存已用 32.0 GB 的 87%，低于 80% 时开始。"
    assert text(page, ".rg-sentence").startswith("内存已用 32.0 GB 的 87%（注意）：先前任务的输出")
    # What the server says in words of its own stays as it is; all else holds no English but names and units.
    page.evaluate("document.querySelectorAll('ol, .rg-jobs').forEach((one) => one.remove())")
    names = r"\b(CPU|GB|MB|KSampler|NVIDIA|GeForce|RTX|ComfyUI|clip_\d+|C)\b"
    english = re.sub(names, "", page.locator(".resource-gate").inner_text())
    assert re.findall(r"[A-Za-z]{2,}", english) == []


def test_a_language_can_be_asked_for_in_the_address(show: Open) -> None:
    show("idle", "?lang=zh").locator("h1", has_text="资源闸门").wait_for()
