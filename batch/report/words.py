"""The report's words in the language of who reads it: `locales/<language>/report.json`."""

from __future__ import annotations

import ctypes
import json
import locale
import os
from collections.abc import Mapping
from pathlib import Path

LOCALES = Path(__file__).parents[2] / "locales"
ENGLISH = "en"

Words = Mapping[str, str]
"""Text by its key; `language` is that of the texts."""


def words_of(language: str) -> Words:
    """The texts in a language; in English where we do not speak it."""
    if not language.isalpha() or not (LOCALES / language / "report.json").is_file():
        language = ENGLISH
    return {**json.loads((LOCALES / language / "report.json").read_text("utf-8")), "language": language}


def users_language(environment: Mapping[str, str] | None = None, windows: str | None = None) -> str:
    """`zh`, `en` …: what the environment asks for as gettext understands it, else what Windows speaks, else English.

    Args:
        environment: where `LC_ALL`, `LC_MESSAGES` and `LANG` are looked up.
        windows: what Windows speaks, as `zh_CN`; asked for where it is None.
    """
    environment = os.environ if environment is None else environment
    asked = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    language = (asked or (_of_windows() if windows is None else windows)).partition("_")[0].partition(".")[0].lower()
    return language if language.isalpha() and language not in ("c", "posix") else ENGLISH


def _of_windows() -> str:
    if os.name != "nt":
        return ""
    return locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")  # type: ignore[attr-defined, no-any-return, unused-ignore]
