"""The one file that browsers load is the build of its source."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UI = ROOT / "ui"
BUNDLE = ROOT / "web" / "resource_gate.js"
FILES = (
    "fingerprint.ts",
    "package-lock.json",
    "package.json",
    "tsconfig.json",
    "vite.config.ts",
    "../locales/en/main.json",
)


def fingerprint() -> str:
    """As `ui/fingerprint.ts` computes it."""
    sources = [path.relative_to(UI).as_posix() for path in (UI / "src").rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for name in sorted([*FILES, *sources]):
        text = (UI / name).read_bytes().decode("utf-8").replace("\r\n", "\n")
        digest.update(f"{name}\n{text}\n".encode())
    return digest.hexdigest()[:16]


def test_the_bundle_names_the_sources_it_was_built_from() -> None:
    first_line = BUNDLE.read_text("utf-8").split("\n", 1)[0]
    found = re.search(r"sources ([0-9a-f]{16})", first_line)
    assert found is not None, first_line
    assert found[1] == fingerprint(), 'web/resource_gate.js is stale: run "npm run build" in ui/'


def test_comfyui_finds_one_script_to_load() -> None:
    """It imports every `*.js` below the folder as an extension."""
    assert sorted((ROOT / "web").rglob("*.js")) == [BUNDLE]


def test_the_lock_file_names_no_registry() -> None:
    text = (UI / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in text
    assert '"integrity"' in text
