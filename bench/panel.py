"""What the panel costs the browser: size, time to the first reading, CPU at ten events a second, heap over eight hours.

CPU is that of the page's main thread, beside what an empty page takes that gets the same events and does not read them.

`python bench/panel.py [--seconds 60] [--comfyui] [--json FILE]`; needs Chromium and playwright. The page of its own is
shown by the server of the browser tests, which answers with made-up readings; `--comfyui` also opens the tab in a real
ComfyUI.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resource_gate.batch.local.find_comfyui import find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser" / "fakes"))
import panel_server  # noqa: E402
import panel_states as fakes  # noqa: E402

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb")
RATE = 10
"""Events a second."""
HOURS = 8
START = time.time()

HIDE = """() => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def busy_seconds(session: CDPSession) -> float:
    """CPU seconds of the page's main thread so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


def share(session: CDPSession, seconds: float, tick: Any) -> float:
    """The share of a core that the page takes while `tick` is called `RATE` times a second."""
    before, start = busy_seconds(session), time.monotonic()
    count = 0
    while (passed := time.monotonic() - start) < seconds:
        tick(count)
        count += 1
        time.sleep(max(0.0, start + count / RATE - time.monotonic()))
    return (busy_seconds(session) - before) / passed


def reading(second: float, number: int) -> dict[str, Any]:
    """A status as a busy server tells it: all figures move."""
    status: dict[str, Any] = fakes.example("running")
    wave = (number * 7 % 100) / 100
    status["time"] = second
    status["last_action"] = fakes.action(START)  # the same one: a new one comes as an event, see `eight_hours`
    status["resources"]["ram"] = fakes.resource((12 + 8 * wave) * fakes.GIB, 32 * fakes.GIB, source="host")
    status["resources"]["cpu"] = fakes.resource(16 * wave, 16)
    status["queue"]["progress"] = wave
    return status


def force(server: Any, status: dict[str, Any]) -> None:
    """Send it whether or not the page holds a lease: what hidden pages cost is asked too."""
    server._leases = dict.fromkeys(server._sockets, time.monotonic() + 60)
    server.push(status)


def heap(session: CDPSession) -> float:
    """MB in use after a collection."""
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 2**20


def eight_hours(server: Any, session: CDPSession) -> list[tuple[int, float]]:
    """Heap by simulated hour: an event a second, an action a minute, a batch event each half minute."""
    found = []
    start = time.time()
    for second in range(HOURS * 3600 + 1):
        if second % 3600 == 0:
            time.sleep(3)
            found.append((second // 3600, heap(session)))
        force(server, reading(start + second, second))
        if second % 60 == 0:
            server.send("resource_gate.action", fakes.action(start + second))
        if second % 30 == 0:
            server.send("resource_gate.batch", {"kind": "ended", "job": None, "count": 1, "summary": None})
    return found


def in_comfyui(browser: Browser) -> float | None:
    """Milliseconds from the click on the tab to the first meter, in a real ComfyUI; None where there is none."""
    found = find_comfyui()
    if found.comfyui is None:
        return None
    with (
        tempfile.TemporaryDirectory() as base,
        ServerProcess(ServerSpec(found.comfyui), Path(base)) as server,
    ):
        page = browser.new_page()
        page.request.post(f"{server.url}/api/settings", data={"Comfy.TutorialCompleted": True})
        page.goto(server.url)
        tab = page.locator('.resource-gate-tab-button, [data-testid="resource-gate-tab-button"]').first
        tab.wait_for(timeout=60_000)
        page.wait_for_timeout(3000)
        times = []
        for _ in range(5):
            times.append(page.evaluate(OPEN))
            tab.click()
            page.locator(".resource-gate").wait_for(state="detached")
        page.close()
        return sorted(times)[2]


UNREAD = """(address) => new Promise((done) => {
  const socket = new WebSocket(address);
  socket.onmessage = () => undefined;
  socket.onopen = () => done();
})"""
"""The same events on a page that does nothing with them: what the browser itself takes to deliver them."""


def watched(page: Page) -> CDPSession:
    """A session that reckons in CPU time, so that what else the machine does is left out."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.wait_for_timeout(3000)
    return session


def unread(page: Page, server: Any, seconds: float) -> float:
    """The share of a core that an empty page takes to be sent the events."""
    page.goto(f"{server.url}i18n")
    page.evaluate(UNREAD, f"{server.url.replace('http', 'ws')}ws?clientId=unread")
    return share(watched(page), seconds, lambda n: force(server, reading(time.time(), n)))


OPEN = """() => new Promise((done) => {
  const start = performance.now();
  const look = () => {
    const live = document.querySelector('.rg-link[data-link="live"]');
    if (live && document.querySelector(".resource-gate .rg-meter")) done(performance.now() - start);
    else requestAnimationFrame(look);
  };
  document.querySelector('.resource-gate-tab-button, [data-testid="resource-gate-tab-button"]').click();
  look();
})"""


def first_reading(page: Page, url: str) -> float:
    """Milliseconds from opening the page of its own to the first meter."""
    start = time.monotonic()
    page.goto(url)
    page.locator(".rg-meter").first.wait_for()
    return (time.monotonic() - start) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--comfyui", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        print("No Chromium here; name it in CHROMIUM")
        return 2
    bundle = (ROOT / "web" / "resource_gate.js").read_bytes()
    figures = {"kb": len(bundle) / 1024, "gzip_kb": len(gzip.compress(bundle, 9)) / 1024}
    print(f"built file            {figures['kb']:.1f} KB, {figures['gzip_kb']:.1f} KB gzip")
    figures |= measured(options, path)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


def measured(options: argparse.Namespace, path: str) -> dict[str, Any]:
    """What the browser tells; each figure is printed as it comes."""
    from playwright.sync_api import sync_playwright

    figures: dict[str, Any] = {}
    server = panel_server.StatusServer()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 360, "height": 900})
        server.status = fakes.example("running")
        figures["unread"] = unread(page, server, options.seconds / 3)
        print(f"empty page, {RATE} Hz     {figures['unread']:.2%} of a core (the browser's own, to deliver the events)")
        figures["first_reading_ms"] = first_reading(page, server.url)
        print(f"page: first reading   {figures['first_reading_ms']:.0f} ms")
        session = watched(page)
        figures["still"] = share(session, options.seconds / 3, lambda n: None)
        print(f"shown, no events      {figures['still']:.2%} of a core")
        figures["shown"] = share(session, options.seconds, lambda n: force(server, reading(time.time(), n)))
        print(f"shown, {RATE} Hz          {figures['shown']:.2%} of a core")
        page.evaluate(HIDE)
        figures["hidden"] = share(session, options.seconds, lambda n: force(server, reading(time.time(), n)))
        print(
            f"hidden, {RATE} Hz         {figures['hidden']:.2%} of a core "
            "(pushed all the same; the server stops with the lease)"
        )
        page.reload()
        page.locator(".rg-meter").first.wait_for()
        page.wait_for_timeout(2000)
        figures["heap_mb"] = {}
        for hour, size in eight_hours(server, session):
            figures["heap_mb"][hour] = size
            print(f"heap after {hour} h        {size:.2f} MB")
        if options.comfyui:
            figures["tab_ms"] = taken = in_comfyui(browser)
            print(
                "ComfyUI: tab to first reading "
                + ("no ComfyUI here" if taken is None else f"{taken:.0f} ms (median of 5)")
            )
        browser.close()
    server.close()
    return figures


if __name__ == "__main__":
    sys.exit(main())
