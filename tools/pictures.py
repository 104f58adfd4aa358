"""Make the pictures of the panel in `docs/images` again: each state as a page of its own, and in a real ComfyUI.

    make pictures
    python tools/pictures.py --only waiting,right --to DIR

Needs Chromium, playwright, Pillow, a ComfyUI for those within it, and a font with Chinese characters. What is shown
is what the browser tests show (tests/browser/fakes): in ComfyUI the browser answers our routes itself.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from resource_gate.batch.local.find_comfyui import find_comfyui
from resource_gate.batch.local.server_process import ServerProcess, ServerSpec

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser" / "fakes"))
import panel_server  # noqa: E402
import panel_states as fakes  # noqa: E402

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb")
LARGEST = 150_000
"""Bytes of a picture that is committed."""
SLOW = 60_000
"""Milliseconds for what ComfyUI's page may take on a small machine."""
PLUM = {
    "id": "plum",
    "name": "Plum",
    "colors": {
        "node_slot": {"IMAGE": "#f0a6ca", "INT": "#b8bedd", "VIDEO": "#9c89b8"},
        "litegraph_base": {
            "CLEAR_BACKGROUND_COLOR": "#241326",
            "BACKGROUND_IMAGE": "",
            "NODE_TITLE_COLOR": "#e8d3ea",
            "NODE_DEFAULT_COLOR": "#46294a",
            "NODE_DEFAULT_BGCOLOR": "#38203b",
            "NODE_TEXT_COLOR": "#f3e6f5",
            "WIDGET_BGCOLOR": "#2b172d",
            "WIDGET_OUTLINE_COLOR": "#6b4470",
            "WIDGET_TEXT_COLOR": "#f3e6f5",
            "WIDGET_SECONDARY_TEXT_COLOR": "#c9a8cd",
        },
        "comfy_base": {
            "fg-color": "#f3e6f5",
            "bg-color": "#241326",
            "comfy-menu-bg": "#331b36",
            "comfy-menu-secondary-bg": "#43264a",
            "comfy-input-bg": "#2b172d",
            "input-text": "#f3e6f5",
            "descrip-text": "#c9a8cd",
            "drag-text": "#e8d3ea",
            "error-text": "#ff8fa3",
            "border-color": "#6b4470",
            "tr-even-bg-color": "#331b36",
            "tr-odd-bg-color": "#3b2040",
            "content-bg": "#43264a",
            "content-fg": "#f3e6f5",
            "content-hover-bg": "#5a3562",
            "content-hover-fg": "#ffffff",
        },
    },
}
"""A palette as somebody would make it in ComfyUI's settings."""


def nothing(page: Page) -> None:
    """Show it as it opens."""


def all_of_it(page: Page) -> None:
    """Thresholds being moved, and what freeing would do."""
    page.locator("[data-deed=adjust]").click()
    page.get_by_role("button", name="Dry run").click()
    page.locator(".rg-plan li").first.wait_for()


def jobs(page: Page) -> None:
    """The batch's jobs unfolded."""
    page.locator(".rg-queue summary").click()
    page.locator(".rg-queue .rg-jobs li").first.wait_for()


@dataclass(frozen=True)
class Picture:
    """A picture: of which state, how wide, in which colours and language, after doing what.

    `settings` are those of a user of ComfyUI's; None: the page of its own.
    """

    name: str
    state: str
    width: int = 360
    dark: bool = True
    language: str = "en-US"
    fleet: bool = False
    before: Callable[[Page], None] = nothing
    settings: dict[str, Any] | None = field(default=None)


PICTURES = (
    Picture("idle-dark", "idle"),
    Picture("running-light", "running", dark=False),
    Picture("waiting-dark", "waiting", 710),
    Picture("emergency-dark", "emergency", 312),
    Picture("done-light", "done", dark=False, before=jobs),
    Picture("quarantined-dark", "quarantined"),
    Picture("restore-dark", "left"),
    Picture("wide-dark", "running", 860, fleet=True, before=all_of_it),
    Picture("chinese-light", "running", 312, dark=False, language="zh-CN"),
    Picture("comfyui-dark", "running", settings={}),
    Picture("comfyui-chinese", "running", settings={"Comfy.Locale": "zh"}),
    Picture("right-light", "waiting", settings={"Comfy.ColorPalette": "light", "Comfy.Sidebar.Location": "right"}),
    Picture(
        "palette",
        "emergency",
        settings={"Comfy.CustomColorPalettes": {"plum": PLUM}, "Comfy.ColorPalette": "plum"},
    ),
)
USUAL = {
    "Comfy.TutorialCompleted": True,
    "Comfy.ColorPalette": "dark",
    "Comfy.Locale": "en",
    "Comfy.Sidebar.Location": "left",
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Workflow.Persist": False,
}
"""Settings of every picture in ComfyUI."""

OPEN_WORKFLOW = """(graph) => {
  const { app } = window;
  app.graph.clear();
  app.graph.configure(graph); // In the tab that is open: loading would open another.
  const view = app.canvas.ds;
  view.scale = 0.72;
  const left = app.extensionManager.setting.get("Comfy.Sidebar.Location") === "left";
  view.offset = left ? [540, 200] : [60, 200];
  app.canvas.setDirty(true, true);
}"""


def as_page(browser: Browser, server: panel_server.StatusServer, picture: Picture) -> bytes:
    """The whole page of its own."""
    server.status, server.fleet = fakes.example(picture.state), picture.fleet
    scheme = "dark" if picture.dark else "light"
    context = browser.new_context(
        viewport={"width": picture.width, "height": 400}, locale=picture.language, color_scheme=scheme
    )
    page = context.new_page()
    page.goto(server.url)
    page.locator('.rg-link[data-link="live"]').wait_for()
    page.locator(".rg-chart path[data-kind=ram]").wait_for(state="attached")
    picture.before(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)
    for toast in page.locator(".rg-toast").all():
        toast.click()  # It lies over the foot.
    # A page that is as high as what it shows: nothing may hang on where it is scrolled to.
    page.set_viewport_size({"width": picture.width, "height": page.evaluate("document.documentElement.scrollHeight")})
    page.wait_for_timeout(500)
    image = page.screenshot()
    context.close()
    return image


def in_comfyui(browser: Browser, server: ServerProcess, picture: Picture) -> bytes:
    """ComfyUI's window with our tab open and one of the example workflows."""
    answers = fakes.answers(fakes.example(picture.state))
    answers["status"] = fakes.example(picture.state)

    def answer(route: Route) -> None:
        name = route.request.url.split("/resource_gate/", 1)[1].split("?")[0]
        if name in answers:
            route.fulfill(json=answers[name])
        else:
            route.fulfill(status=404)

    context = browser.new_context(viewport={"width": 1280, "height": 760}, locale="en-US")
    page = context.new_page()
    page.request.post(f"{server.url}/api/settings", data={**USUAL, **(picture.settings or {})})
    page.route("**/resource_gate/**", answer)
    page.goto(server.url)
    tab = page.locator('.resource-gate-tab-button, [data-testid="resource-gate-tab-button"]').first
    tab.wait_for(timeout=SLOW)
    if page.locator(".resource-gate").count() == 0:
        tab.click()
    page.locator('.rg-link[data-link="live"]').wait_for(timeout=SLOW)
    page.evaluate(OPEN_WORKFLOW, json.loads((ROOT / "example_workflows" / "video batch.json").read_text("utf-8")))
    picture.before(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(3000)
    image = page.screenshot()
    context.close()
    return image


def save(image: bytes, path: Path) -> int:
    """Write it; with 256 colours only where it would be too large, since they change the rarer ones. Returns bytes."""
    with Image.open(io.BytesIO(image)) as full:
        full.convert("RGB").save(path, optimize=True)
        if path.stat().st_size > LARGEST:
            full.convert("RGB").quantize(256, kmeans=4, dither=Image.Dither.NONE).save(path, optimize=True)
    return path.stat().st_size


@contextmanager
def comfyui() -> Iterator[ServerProcess | None]:
    """A real ComfyUI; None, and the reason told, where there is none."""
    found = find_comfyui()
    if found.comfyui is None:
        print(f"No pictures in ComfyUI: {found.reason}")
        yield None
        return
    flags = ("--front-end-root", front_end) if (front_end := os.environ.get("RESOURCE_GATE_TEST_FRONT_END")) else ()
    with (
        tempfile.TemporaryDirectory() as base,
        ServerProcess(ServerSpec(found.comfyui, flags=flags), Path(base)) as server,
    ):
        yield server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", metavar="A,B", help="those whose names have one of these in them")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images", metavar="DIR")
    options = parser.parse_args()
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        print("No Chromium here; name it in CHROMIUM")
        return 2
    wanted = [one for one in PICTURES if any(part in one.name for part in options.only.split(","))]
    options.to.mkdir(parents=True, exist_ok=True)
    sizes = dict(make(wanted, path, options.to))
    return 1 if any(size > LARGEST for size in sizes.values()) else 0


def make(wanted: list[Picture], chromium: str, to: Path) -> Iterator[tuple[str, int]]:
    """Make them, saying each; yields name and bytes."""
    from playwright.sync_api import sync_playwright

    def saved(picture: Picture, image: bytes) -> tuple[str, int]:
        name = f"panel-{picture.name}.png"
        size = save(image, to / name)
        print(f"{name:32} {size / 1000:6.0f} KB{'  too large' if size > LARGEST else ''}")
        return name, size

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=list(FLAGS))
        server = panel_server.StatusServer()
        for picture in wanted:
            if picture.settings is None:
                yield saved(picture, as_page(browser, server, picture))
        server.close()
        if any(picture.settings is not None for picture in wanted):
            with comfyui() as real:
                for picture in wanted:
                    if real is not None and picture.settings is not None:
                        yield saved(picture, in_comfyui(browser, real, picture))
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
