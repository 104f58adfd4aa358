"""The file by which a server asks whoever started it to start it again.

ComfyUI-Manager's restart button, and its restart after installing packages, do one of two things. With
`__COMFY_CLI_SESSION__` in the environment they write an empty file of that name with `.reboot` behind it and end with
code 0; that is comfy-cli's protocol, and several node packs keep to it. Without it they call `os.execv`: on Linux and
macOS that stays the same process, but on Windows it ends the one we know and leaves one that nobody watches. So the
supervisor speaks comfy-cli's protocol on all systems.
"""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "__COMFY_CLI_SESSION__"


class RebootMarker:
    """Names the file to the child, and looks for it.

    Args:
        environment: ours; a session that is already in it is kept, and its file is looked for.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        # A name that nobody can guess, and no folder: a supervisor that is killed leaves nothing behind.
        session = environment.get(VARIABLE) or str(Path(tempfile.gettempdir()) / f"resource-gate-run-{uuid.uuid4()}")
        self.environment = {VARIABLE: session}
        """What the child needs to know."""
        self.path = Path(session + ".reboot")

    def take(self) -> bool:
        """Whether the file is there; it is removed, so that one request is one restart."""
        try:
            self.path.unlink()
        except OSError:  # it is not there, or not ours to remove: then it would be found for ever
            return False
        return True

    def close(self) -> None:
        """Remove a file that came too late to be looked for."""
        with contextlib.suppress(OSError):
            self.path.unlink()
