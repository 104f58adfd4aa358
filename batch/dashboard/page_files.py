"""The files that the standalone page consists of, as a browser asks for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent.parent
"""The folder that holds `web` and `locales`."""
SCRIPTS = "/extensions/resource-gate/"
"""Where the page finds our files, as under ComfyUI."""
TYPES = {".js": "text/javascript", ".html": "text/html; charset=utf-8", ".md": "text/markdown; charset=utf-8"}
"""Said, not guessed: a Windows registry may call scripts plain text, and then no browser runs them."""
PARTS_OF_A_LANGUAGE = ("nodeDefs", "commands", "settings")
"""Files beside `main.json` that ComfyUI merges under their own names."""


class PageFiles:
    """Answers by path.

    Args:
        package: holds `web` and `locales`.
    """

    def __init__(self, package: Path = PACKAGE) -> None:
        self._web = package / "web"
        self._locales = package / "locales"

    def find(self, path: str) -> tuple[str, bytes] | None:
        """Content type and bytes of what lies at a path; None where nothing does."""
        if path in ("/", "/resource_gate", "/resource_gate/"):
            return self._file(self._web / "page.html")
        if path == "/extensions":
            scripts = [SCRIPTS + script.name for script in sorted(self._web.glob("*.js"))]
            return "application/json", json.dumps(scripts).encode()
        if path == "/i18n":
            return "application/json", json.dumps(self._texts()).encode()
        if path.startswith(SCRIPTS):
            return self._file(self._web / path[len(SCRIPTS) :])
        return None

    def _file(self, path: Path) -> tuple[str, bytes] | None:
        try:
            resolved = path.resolve()
            if (
                not resolved.is_relative_to(self._web.resolve())
                or resolved.suffix not in TYPES
                or not resolved.is_file()
            ):
                return None
        except (OSError, ValueError):  # too long a name, a null byte
            return None
        return TYPES[resolved.suffix], resolved.read_bytes()

    def _texts(self) -> dict[str, Any]:
        """Language → the keys of its `main.json`, and the other files' contents under their names."""
        found: dict[str, Any] = {}
        for folder in sorted(path for path in self._locales.glob("*") if path.is_dir()):
            texts = _object(folder / "main.json")
            texts |= {name: part for name in PARTS_OF_A_LANGUAGE if (part := _object(folder / f"{name}.json"))}
            if texts:
                found[folder.name] = texts
        return found


def _object(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return value if isinstance(value, dict) else {}
