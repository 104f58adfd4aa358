"""What the command of a server tells: where it will answer, and where its user data lies."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path

DEFAULT_PORT = 8188
"""ComfyUI's own, and the embedded host's."""
DATA_FOLDER = "__resource_gate"
"""Below the user folder: where settings and journal lie, as `host.data_folder` says on the other side."""


def read_flag(command: Sequence[str], name: str, bare: str | None = None) -> str | None:
    """Return the value of `--name value` or `--name=value`, the last one as argparse does; None where it is not set.

    Args:
        command: program and arguments.
        name: with its dashes.
        bare: what the flag means without a value.
    """
    found = None
    for index, word in enumerate(command):
        if word.startswith(f"{name}="):
            found = word.partition("=")[2]
        elif word == name:
            after = command[index + 1] if index + 1 < len(command) else "--"
            found = bare if after.startswith("--") else after
    return found


def server_url(command: Sequence[str]) -> str:
    """Return the address at which the server that `command` starts can be asked on this machine.

    ComfyUI listens at 127.0.0.1 by default and everywhere with a bare `--listen`; it takes several addresses with
    commas between them. The embedded host knows the same two flags.
    """
    addresses = (read_flag(command, "--listen", bare="0.0.0.0") or "127.0.0.1").split(",")
    port = read_flag(command, "--port") or ""
    scheme = "https" if read_flag(command, "--tls-keyfile") and read_flag(command, "--tls-certfile") else "http"
    return f"{scheme}://{_reachable(addresses[0].strip())}:{port if port.isdigit() else DEFAULT_PORT}"


def _reachable(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address  # a name
    if parsed.is_unspecified:
        return "[::1]" if parsed.version == 6 else "127.0.0.1"
    return f"[{parsed}]" if parsed.version == 6 else str(parsed)


def data_folder(command: Sequence[str], here: Path) -> Path | None:
    """Return the folder of Resource Gate's own data in the server's user folder; None where that cannot be told.

    Args:
        command: program and arguments. Flags come first, then the folder of its `main.py`, then `here`.
        here: the folder that the command starts in.
    """
    if user := read_flag(command, "--user-directory"):
        return here / user / DATA_FOLDER
    if base := read_flag(command, "--base-directory"):
        return here / base / "user" / DATA_FOLDER
    for word in command[1:]:
        if Path(word).name == "main.py" and (here / word).is_file():
            return (here / word).parent / "user" / DATA_FOLDER
    return here / "user" / DATA_FOLDER if (here / "user").is_dir() else None
