"""Chromium, and a server that answers as Resource Gate does, with a status that the test sets.

The server and what it tells lie in `fakes/`, which pytest's `pythonpath` names: `bench/panel.py` uses them too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from panel_server import StatusServer
from panel_states import example

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb")


@pytest.fixture
def status_server() -> Iterator[StatusServer]:
    server = StatusServer()
    yield server
    server.close()


@pytest.fixture
def example_status() -> Callable[[str], dict[str, Any]]:
    """Makes the status of a state: see `example`."""
    return example


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for this module: Playwright's event loop stays running on this thread until it is closed."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)))
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address; options as for a Playwright context. At the end no page may have reported an error of ours.

    What the browser itself logs of requests that were refused, or found no server, is no error of the page.
    """
    contexts = []
    errors: list[str] = []

    def heard(message: Any) -> None:
        ours = "resource_gate" in (message.location or {}).get("url", "") + message.text
        noise = message.text.startswith(("Failed to load resource", "WebSocket connection"))
        if message.type in ("error", "warning") and ours and not noise:
            errors.append(f"{message.type}: {message.text} ({message.location})")

    def open_(url: str, **options: Any) -> Page:
        options = {"viewport": {"width": 360, "height": 900}, "locale": "en-US", **options}
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
