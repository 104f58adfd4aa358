"""Writes a batch's report beside its journal."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .page import pieces
from .words import users_language

JSON_NAME = "report.json"
HTML_NAME = "report.html"


def write_report(data: Mapping[str, Any], folder: Path, language: str | None = None) -> tuple[Path, Path]:
    """Write `report.json` and `report.html`, for their owner only; return their paths.

    Who reads them meanwhile sees the old or the new.

    Args:
        data: what the journal's `report()` returns.
        folder: where to; made where it is missing.
        language: of the page's own words; None for that of who runs this.

    Raises:
        OSError: they cannot be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return _replace(folder / JSON_NAME, _json(data)), _replace(
        folder / HTML_NAME, pieces(data, language or users_language())
    )


def _json(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the report as one JSON object, a job a line: a long batch is never whole in memory."""
    yield f'{{\n"batch": {_dumped(data["batch"])},\n"tiers": {_dumped(data["tiers"])}'
    for name in ("jobs", "samples"):
        between = ""
        yield f',\n"{name}": ['
        for entry in data[name]:
            yield f"{between}\n{_dumped(entry)}"
            between = ","
        yield "\n]"
    yield "\n}\n"


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _replace(path: Path, text: Iterable[str]) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
