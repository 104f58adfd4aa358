"""Writes a batch's report beside its journal."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .page import page

JSON_NAME = "report.json"
HTML_NAME = "report.html"


def write_report(data: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write `report.json` and `report.html`, for their owner only; return their paths.

    Who reads them meanwhile sees the old or the new.

    Args:
        data: what the journal's `report()` returns.
        folder: where to; made where it is missing.

    Raises:
        OSError: they cannot be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, indent=1, ensure_ascii=False, default=str) + "\n"
    return _replace(folder / JSON_NAME, text), _replace(folder / HTML_NAME, page(data))


def _replace(path: Path, text: str) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
