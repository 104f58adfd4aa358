"""The parts of the panel that do something: jobs, restore, quarantine, thresholds, settings, freeing, machines."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

AXE = Path(__file__).resolve().parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
WAIT = 5_000


@pytest.fixture
def show(
    status_server: Any, open_page: Callable[..., Any], example_status: Callable[[str], Any]
) -> Callable[..., Page]:
    """Opens the page on a server in one of the states."""

    def show_(state: str, **options: Any) -> Page:
        status_server.status = example_status(state)
        page: Page = open_page(status_server.url, **options)
        page.locator('.rg-link[data-link="live"]').wait_for()
        return page

    return show_


def sent(server: Any, deed: str) -> list[Any]:
    return [body for name, body in server.bodies if name == deed]


def test_each_job_tells_its_time_its_peaks_and_what_was_done_for_it(show: Callable[..., Page]) -> None:
    page = show("running")
    page.locator(".rg-queue summary").click()
    rows = page.locator(".rg-queue .rg-jobs li")
    rows.nth(7).wait_for()
    told = [" ".join(row.inner_text().replace("\u00a0", " ").split()) for row in rows.all()]
    assert told[0].startswith("clip_008 Running 12 KSampler")
    assert "clip_007 Warning Done took 1 min, 24 sec" in told[1]
    assert "RAM 14.2 GB · VRAM 18.1 GB · 2 actions, 3.1 GB freed · from the API" in told[1]
    assert "from another tab" in told[3]
    assert "CUDA out of memory" in told[4]


def test_one_failed_job_or_all_of_them_can_be_queued_again(show: Callable[..., Page], status_server: Any) -> None:
    page = show("running")
    page.get_by_role("button", name="Retry 1 failed job").click()
    page.locator(".rg-queue .rg-said", has_text="1 job is queued again.").wait_for()
    page.locator(".rg-queue summary").click()
    page.get_by_role("button", name="Retry clip_005").click()
    page.locator(".rg-queue [data-deed=retry]:not([aria-disabled])").wait_for()
    (every, one) = sent(status_server, "batch/retry")
    assert (every, list(one)) == ({}, ["ids"])


def test_what_a_crash_left_is_restored_by_item(show: Callable[..., Page], status_server: Any) -> None:
    page = show("left")
    card = page.locator(".rg-restore")
    boxes = card.locator("input[type=checkbox]")
    boxes.nth(2).wait_for()
    assert "without an API key" in card.inner_text()
    boxes.nth(2).uncheck()
    card.get_by_role("button", name="Restore 2 jobs").click()
    card.locator(".rg-said", has_text="queued again").wait_for()
    (body,) = sent(status_server, "batch/restore")
    assert (body["discard"], len(body["ids"])) == (False, 2)


def test_a_job_that_was_set_aside_tells_its_story_and_can_be_released(
    show: Callable[..., Page], status_server: Any
) -> None:
    page = show("quarantined")
    card = page.locator(".rg-aside")
    card.get_by_role("button", name="Release upscale_8k").click()
    card.locator(".rg-said", has_text="queued again").wait_for()
    assert "The server died 2 times with it running" in card.inner_text().replace("\u00a0", " ")
    assert [list(body) for body in sent(status_server, "batch/release")] == [["id"]]


def test_a_threshold_can_be_dragged_moved_by_keys_and_typed(show: Callable[..., Page], status_server: Any) -> None:
    page = show("running", viewport={"width": 700, "height": 900})
    page.locator("[data-deed=adjust]").click()
    warning = page.get_by_role("slider", name="RAM: Warning begins at", exact=True)
    rail = page.locator(".rg-rail").first.bounding_box()
    place = warning.bounding_box()
    assert rail is not None and place is not None
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + 8)
    page.mouse.down()
    page.mouse.move(rail["x"] + rail["width"] * 0.7, place["y"] + 8, steps=4)
    page.mouse.up()
    page.locator(".rg-meters .rg-said", has_text="Saved.").wait_for()
    page.locator(".rg-handle[data-level=emergency]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1200)
    box = page.get_by_role("textbox", name="VRAM: Critical begins at")
    box.fill("91")
    box.press("Tab")
    page.wait_for_timeout(300)
    dragged, moved, typed = sent(status_server, "settings")
    assert abs(dragged["ram"]["warning"] - 0.7) < 0.011
    assert (moved, typed) == ({"ram": {"emergency": 0.97}}, {"vram": {"critical": 0.91}})


def test_a_refused_setting_is_told_at_its_field_and_what_was_typed_is_kept(
    show: Callable[..., Page], status_server: Any
) -> None:
    page = show("idle")
    page.locator("summary", has_text="All settings").click()
    field = page.locator('[data-field="gate.wait"]')
    field.locator("input").fill("99999")
    fields = [{"field": "gate.wait", "problem": "at most 3600", "in_force": 30.0}]
    status_server.refusal = {"message": "nothing was changed", "fields": fields}
    page.get_by_role("button", name="Save").click()
    field.locator("[role=alert]", has_text="at most 3600").wait_for()
    assert field.locator("input").get_attribute("aria-invalid") == "true"
    assert field.locator("input").input_value() == "99999", "what was typed is not lost"
    status_server.refusal = None
    field.locator("input").fill("60")
    page.get_by_role("button", name="Save").click()
    page.locator(".rg-settings .rg-said", has_text="Saved.").wait_for()
    assert sent(status_server, "settings")[-1] == {"gate": {"wait": 60}}


def test_a_reset_says_first_what_is_lost_and_does_nothing_if_it_is_declined(
    show: Callable[..., Page], status_server: Any
) -> None:
    page = show("idle")
    asked: list[str] = []
    answers = [False, True]

    def answer(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.accept() if answers.pop(0) else dialog.dismiss()

    page.on("dialog", answer)
    page.locator("summary", has_text="All settings").click()
    reset = page.get_by_role("button", name="Reset all")
    field = page.locator('[data-field="gate.wait"] input')
    field.wait_for()
    assert reset.get_attribute("aria-disabled") == "true", "there is nothing to lose"
    field.fill("60")
    page.get_by_role("button", name="Save").click()
    page.locator(".rg-settings .rg-said", has_text="Saved.").wait_for()
    reset.click()
    assert "Gate, Seconds a prompt waits at most: 60 → 30" in asked[0]
    assert sent(status_server, "settings/reset") == []
    reset.click()
    page.locator(".rg-settings .rg-said", has_text="back at their defaults").wait_for()
    assert sent(status_server, "settings/reset") == [{}]


def test_readings_that_come_while_nobody_looks_are_dropped(
    show: Callable[..., Page], status_server: Any, example_status: Callable[[str], Any]
) -> None:
    page = show("idle")
    page.evaluate(
        """() => {
          const get = () => window.seen ?? "hidden";
          Object.defineProperty(document, "visibilityState", { configurable: true, get });
          document.dispatchEvent(new Event("visibilitychange"));
          window.parsed = 0;
          const parse = JSON.parse;
          JSON.parse = (...given) => (window.parsed++, parse(...given));
        }"""
    )
    for _ in range(5):
        assert status_server.push(example_status("emergency")) == 1
    status_server.send("resource_gate.batch", {"kind": "ended", "job": None, "count": 1, "summary": None})
    page.wait_for_function("window.parsed > 0")
    assert page.evaluate("window.parsed") == 1
    assert page.locator(".rg-word").text_content() == "Normal"
    page.evaluate("window.seen = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    page.locator(".rg-word", has_text="Emergency").wait_for()


def test_the_time_line_tells_values_under_the_pointer_and_by_keys(show: Callable[..., Page]) -> None:
    page = show("running")
    chart = page.locator(".rg-chart")
    page.locator(".rg-time").scroll_into_view_if_needed()
    chart.locator("path[data-kind=ram]").wait_for()
    chart.hover(position={"x": 180, "y": 60})
    readout = page.locator(".rg-readout")
    pointed = readout.inner_text()
    assert "RAM" in pointed and "VRAM" in pointed and "clip_00" in pointed
    page.mouse.move(5, 5)
    chart.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert readout.inner_text() != pointed
    assert chart.get_attribute("aria-valuetext") == readout.text_content()


def test_freeing_says_what_it_costs_and_a_dry_run_does_nothing(show: Callable[..., Page], status_server: Any) -> None:
    page = show("running")
    page.locator(".rg-free").hover()
    page.locator(".rg-free", has_text="4 nodes would run again").wait_for()
    page.get_by_role("radio", name="Everything").check(force=True)
    page.locator(".rg-free", has_text="To be loaded again: WAN21 and UMT5.").wait_for()
    page.get_by_role("button", name="Dry run").click()
    page.locator(".rg-plan li", has_text="drop 3 outputs of an earlier prompt").wait_for()
    assert sent(status_server, "free") == [{"level": "emergency", "dry_run": True}]


def test_the_machines_of_a_runner_are_shown_on_its_page_only(show: Callable[..., Page], status_server: Any) -> None:
    status_server.fleet = True
    page = show("running")
    machines = page.locator(".rg-machines li")
    machines.nth(1).wait_for()
    assert "clip_043" in machines.nth(0).inner_text()
    status_server.fleet = False
    assert show("idle").locator(".rg-machines").is_hidden()


def test_an_emergency_and_a_restored_job_are_told_and_readings_are_not(
    show: Callable[..., Page], status_server: Any, example_status: Callable[[str], Any]
) -> None:
    page = show("running")
    assert page.locator(".rg-toast").count() == 0
    for state in ("emergency", "running", "emergency"):
        status_server.push(example_status(state))
    page.locator(".rg-toast", has_text="Emergency: RAM is at 97% of its limit.").wait_for()
    assert page.locator(".rg-toast").count() == 1, "again and again would be noise"
    status_server.send("resource_gate.batch", {"kind": "restored", "job": None, "count": 3, "summary": None})
    page.locator(".rg-toast", has_text="3 jobs of the last run are queued again.").wait_for()


def test_a_batch_that_ends_is_summed_up(show: Callable[..., Page], status_server: Any, example_status: Any) -> None:
    page = show("running")
    summary = {"done": 20, "failed": 0, "retried": 1, "seconds": 1200, "peak_ram": 2**34, "freed": 2**30, "actions": 2}
    status_server.send("resource_gate.batch", {"kind": "batch_ended", "job": None, "count": 0, "summary": summary})
    status_server.push({**example_status("done")})
    told = page.locator(".rg-summary", has_text="20 done")
    told.wait_for(timeout=WAIT)
    words = told.inner_text().replace("\u00a0", " ")
    assert words == "20 done · 1 retried · took 20 min · highest RAM 16.0 GB · 1.0 GB freed in 2 actions"


@pytest.mark.parametrize("state", ["running", "emergency", "quarantined", "left", "degraded"])
def test_axe_finds_nothing_serious(show: Callable[..., Page], status_server: Any, state: str) -> None:
    if shutil.which("npm") is None and not AXE.is_file():
        pytest.skip("no npm here, which axe-core comes by")
    assert AXE.is_file(), "axe-core is not installed: run `make modules`"
    status_server.fleet = True
    page = show(state, reduced_motion="reduce")
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.locator("[data-deed=adjust]").click()
    page.locator(".rg-field").nth(40).wait_for()
    page.add_script_tag(path=AXE)
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [
            (one["id"], [node["html"][:120] for node in one["nodes"]][:3])
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]
        assert (theme, serious) == (theme, [])
