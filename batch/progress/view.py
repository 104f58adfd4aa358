"""The views on a running batch, and which of them fits where its output goes."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TextIO

from .lines import Lines
from .state import BatchState

log = logging.getLogger(__name__)


class StderrHandler(logging.Handler):
    """Logs to whatever is standard error at that moment.

    A handler of the standard library's keeps the stream that was there first. While a terminal shows a batch, rich puts
    one of its own in that place, which writes above the drawing; what goes to the old one tears the drawing apart.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - as all of logging: what cannot be written is told there and raises nothing
            self.handleError(record)


class View(Protocol):
    """Shows a batch. Events may come from any thread."""

    def on(self, event: Mapping[str, Any]) -> None:
        """Take one event of the batch."""
        ...

    def close(self) -> None:
        """Leave the output as it shall stay; further events are ignored."""
        ...


class Unbroken:
    """Another view, until it cannot be written any more: its reader is gone, its terminal, or the room on its disk.

    The batch goes on without it.
    """

    def __init__(self, view: View) -> None:
        self._view: View | None = view

    def on(self, event: Mapping[str, Any]) -> None:
        """Take one event of the batch."""
        self._try(lambda view: view.on(event))

    def close(self) -> None:
        """Leave the output as it shall stay."""
        self._try(lambda view: view.close())

    def _try(self, call: Callable[[View], None]) -> None:
        view = self._view
        if view is None:
            return
        try:
            call(view)
        except (OSError, ValueError) as error:  # the second: of a stream that is closed
            self._view = None
            log.warning("the batch goes on and is not shown any more: %s", error)
            with suppress(OSError, ValueError):
                view.close()


class PlainView:
    """One line for what matters, with the time of day: for log files and pipes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._state = BatchState()
        self._lines = Lines()
        self._lock = threading.Lock()
        self._open = True

    def on(self, event: Mapping[str, Any]) -> None:
        """Write the event's line, if it has one."""
        with self._lock:
            if not self._open:
                return
            self._state.apply(event)
            line = self._lines.line(event, self._state)
            if line:
                clock = time.strftime("%H:%M:%S", time.localtime(self._state.now or None))
                self._out.write(f"{clock} {line}\n")
                self._out.flush()

    def close(self) -> None:
        """Stop writing."""
        with self._lock:
            self._open = False


class JsonView:
    """Every event as a line of JSON, for programs; what JSON has no form for becomes a text."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._open = True

    def on(self, event: Mapping[str, Any]) -> None:
        """Write the event."""
        with self._lock:
            if self._open:
                self._out.write(json.dumps(dict(event), default=str) + "\n")
                self._out.flush()

    def close(self) -> None:
        """Stop writing."""
        with self._lock:
            self._open = False


def make_view(out: TextIO, as_json: bool = False) -> View:
    """Return the view that fits: JSON lines if asked for, rich on a terminal where rich is installed, else plain."""
    if as_json:
        return JsonView(out)
    if out.isatty():
        try:
            from .rich_view import RichView
        except ImportError:
            return PlainView(out)
        return RichView(out)
    return PlainView(out)
