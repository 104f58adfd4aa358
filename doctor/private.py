"""Takes out of a report what tells who and where: home folder, user name, host name."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SHORTEST = 3
"""Characters from which a name is taken out: shorter ones are part of too many words."""

COMMON = frozenset({"root", "user", "admin", "ubuntu", "localhost", "comfyui", "runner"})
"""Names that tell nobody, and are words of the report too."""


class Private:
    """Replaces the texts of one machine.

    Args:
        home: the home folder, `~` afterwards.
        user, host: names, `<user>` and `<host>` afterwards where they stand as words.
    """

    def __init__(self, home: str, user: str, host: str) -> None:
        self._home = [h for h in dict.fromkeys((home, home.replace("\\", "/"))) if len(h) > 1]
        self._names = [
            (re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE), shown)
            for name, shown in ((user, "<user>"), (host, "<host>"))
            if len(name) >= SHORTEST and name.lower() not in COMMON
        ]
        # Other people's home folders, on all three systems.
        self._homes = re.compile(r"((?:[A-Za-z]:)?[\\/](?:home|Users)[\\/])[^\\/\s\"':;,]+")

    def text(self, text: str) -> str:
        """One text, cleaned."""
        for home in self._home:
            text = text.replace(home, "~")
        text = self._homes.sub(r"\1<user>", text)
        for pattern, shown in self._names:
            text = pattern.sub(shown, text)
        return text

    def cleaned(self, value: Any) -> Any:
        """A JSON value, cleaned through and through, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(k)): self.cleaned(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.cleaned(v) for v in value]
        return value


def of_this_machine(home: Callable[[], Path] = Path.home, user: Callable[[], str] = getpass.getuser) -> Private:
    """For who runs this process: in a container that may be a number, without a name or a home."""
    try:
        named = user()
    except (KeyError, OSError, ImportError):
        named = ""
    try:
        lives = str(home())
    except RuntimeError:
        lives = ""
    return Private(lives, named, socket.gethostname())
