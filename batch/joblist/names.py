"""The names of jobs: unique in a list, the same on every planning, and a file's stem on every system."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 80
"""Characters of a name. Windows allows 260 for a whole path, most file systems 255 bytes for one part of it."""
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))]
)
"""Names that Windows keeps for devices, with any ending: learn.microsoft.com, “Naming Files, Paths, and Namespaces”."""


def safe_name(text: str) -> str:
    """Return `text` as a file's stem that Windows, macOS and Linux take; empty where nothing of it can stay."""
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text)).strip(" .")
    while len(name) > MAX_LENGTH or len(name.encode()) > 2 * MAX_LENGTH:
        name = name[:-1].rstrip(" .")
    return f"_{name}" if name.split(".", maxsplit=1)[0].strip().lower() in _RESERVED else name


class Names:
    """Gives each job a name that no other has; letters of either case count as the same, as on Windows."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, wanted: str, number: int) -> str:
        """Return `wanted` made safe, with `-2`, `-3` … behind it where it is taken.

        Args:
            wanted: what it should be called.
            number: of the row, counted from 1; the name where nothing of `wanted` can stay.
        """
        base = safe_name(wanted) or f"{number:04d}"
        name, count = base, 1
        while name.casefold() in self._taken:
            count += 1
            name = f"{base[: MAX_LENGTH - 6]}-{count}"
        self._taken.add(name.casefold())
        return name
